"""Judges what `doctor` finds: figures in, findings out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from batchrunner.core.errors import ExitCode
from batchrunner.core.text import span

Version = tuple[int, int, int]

OLDEST_SQLITE: Version = (3, 37, 0)
"""The first version with strict tables."""
_WAL_RESET_FIXED: tuple[tuple[Version, Version], ...] = (
    ((3, 44, 6), (3, 45, 0)),
    ((3, 50, 7), (3, 51, 0)),
    ((3, 51, 3), (999, 0, 0)),
)
"""The versions without the WAL-reset bug, from the first to below the second; https://sqlite.org/wal.html."""
MOST_AHEAD = 60.0
"""Seconds by which the clocks may differ: tasks in doubt are recognised by their times, among others."""
SLOW_SYNC = 0.5
"""Seconds; each submission waits for one or more of these."""


class Health(StrEnum):
    """How good a finding is; only a problem keeps a run from working."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a diagnosis."""

    subject: str
    text: str
    health: Health = Health.OK
    hint: str = ""
    exit_code: ExitCode = ExitCode.USAGE
    """What a run would end with, if it is a problem."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """The figures, for programs."""


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """The first problem's exit code; 0 without problems."""
    return next((one.exit_code for one in findings if one.health is Health.PROBLEM), ExitCode.DONE)


def of_sqlite(version: Version) -> Finding:
    """Whether this SQLite can keep a ledger."""
    shown = ".".join(map(str, version))
    facts = {"version": shown}
    if version < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        hint = f"use a Python with SQLite {oldest} or newer"
        return Finding("SQLite", f"{shown} is too old", Health.PROBLEM, hint, facts=facts)
    if not any(first <= version < end for first, end in _WAL_RESET_FIXED):
        text = f"{shown}, which has the WAL-reset bug (fixed in 3.51.3, 3.50.7 and 3.44.6)"
        hint = (
            "batchrunner has one writer and can't trigger it; don't write to ledger.sqlite with other tools"
        )
        return Finding("SQLite", text, Health.NOTE, hint, facts=facts)
    return Finding("SQLite", shown, facts=facts)


def of_clock(ahead: float) -> Finding:
    """Whether this machine's clock agrees with the gateway's, which is `ahead` by so many seconds."""
    facts = {"gateway_ahead_seconds": round(ahead, 1)}
    if abs(ahead) > MOST_AHEAD:
        which = "behind" if ahead > 0 else "ahead of"
        hint = "set the clock (`timedatectl status`): lost submissions are recognised by their time"
        text = f"{span(abs(ahead))} {which} the gateway's"
        return Finding("clock", text, Health.WARNING, hint, facts=facts)
    return Finding("clock", "agrees with the gateway's", facts=facts)


def of_balance(usd: float) -> Finding:
    """What the balance of an account, in USD, is good for."""
    facts, text = {"balance_usd": round(usd, 6)}, f"{usd:,.2f} USD"
    if usd <= 0:
        return Finding("balance", text, Health.WARNING, "top it up: nothing can be submitted", facts=facts)
    return Finding("balance", text, facts=facts)


def of_space(free: int, reserve: int) -> Finding:
    """Whether the disk has room, above the `reserve` that a run leaves free; in bytes."""
    facts = {"free_bytes": free, "reserve_bytes": reserve}
    text = f"{free / 1e9:,.1f} GB free"
    if free <= reserve:
        text += f", and a run leaves {reserve / 1e9:,.1f} GB free"
        return Finding("space", text, Health.PROBLEM, "free disk space", ExitCode.STORAGE, facts)
    return Finding("space", text, facts=facts)


def of_sync(seconds: float) -> Finding:
    """How long the disk takes to write, sync and rename a file."""
    facts = {"seconds": round(seconds, 4)}
    text = f"write, sync and rename take {seconds * 1000:,.0f} ms"
    if seconds > SLOW_SYNC:
        return Finding(
            "disk", text, Health.WARNING, "use a faster disk: each submission waits for it", facts=facts
        )
    return Finding("disk", text, facts=facts)
