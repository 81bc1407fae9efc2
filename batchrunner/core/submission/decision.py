"""Whether a submission may leave, and what that is decided by."""

from __future__ import annotations

from dataclasses import dataclass

from batchrunner.core.errors import ExitCode


@dataclass(frozen=True, slots=True)
class Go:
    """A submission may leave; `probe` says that it goes alone, and others wait for what becomes of it."""

    probe: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """No submission may leave before `until` (None: before something else happens)."""

    why: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """No submission may leave in this run any more; what is paid for is polled and collected."""

    why: str
    hint: str
    exit_code: ExitCode


Decision = Go | Hold | Stop


@dataclass(frozen=True, slots=True)
class Situation:
    """What the gates may look at when they judge."""

    now: float
    """Nominal seconds."""
    in_flight: int
    """Slots held, the submission in question not counted."""
    in_doubt: int
    """Tasks in doubt in the ledger."""
    chance: float = 0.5
    """In [0, 1)."""
