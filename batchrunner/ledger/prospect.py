"""What a ledger says about a run that has not begun: read without changing or locking it, in any version."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from batchrunner.core.budget import Amount, Per
from batchrunner.core.confirmation import Confirmed
from batchrunner.core.kinds import Kind
from batchrunner.core.model import TaskKey
from batchrunner.core.overrun import Overruns
from batchrunner.ledger import aggregates
from batchrunner.ledger.database import SCHEMA_VERSION, pragma
from batchrunner.ledger.glance import asked, paid_tasks
from batchrunner.ledger.ledger import Ledger
from batchrunner.ledger.need_lengths import measured_lengths
from batchrunner.ledger.overruns import overruns
from batchrunner.ledger.spending import charged_without_price, committed, has_only

_CONFIRMED, _EDITED = "confirmed", "confirmed_edits"


class Left(NamedTuple):
    """A task that leaves the plan with this run."""

    id: str
    source: str
    is_paid: bool
    """Whether it is paid for, or may be."""
    request: str = ""
    """Its request, as JSON, if it needs other tasks."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known before a run."""

    committed: Amount | None = None
    """What all runs in the directory have, or may have, cost; None if that is not known in one currency."""
    newest_attempt: int = 0
    """The ledger's number of it; 0 if there is none."""
    confirmed: Confirmed | None = None
    """What the user has agreed to."""
    left: tuple[Left, ...] = ()
    """The tasks that leave the plan, and those paid for that have left it before."""
    begun: frozenset[TaskKey] = frozenset()
    """All tasks in the ledger that were submitted or confirmed by name, if there are any in `left`."""
    is_current: bool = False
    """Whether there is a ledger, and of this version: readers refuse others, which a run upgrades."""
    finished: tuple[tuple[Kind, float], ...] = ()
    """How long generations of each kind took; see `aggregates.generation_times`."""


def prospect(directory: Path, planned: Iterable[TaskKey], currency: str) -> Prospect:
    """What the ledger of a run directory says about a run of these tasks, priced in this currency.

    Raises:
        Unreadable: it can't be read.
    """
    return asked(directory, partial(_prospect, planned=planned, currency=currency)) or Prospect()


@dataclass(frozen=True, slots=True)
class Experience:
    """What earlier runs have shown, and estimates count."""

    lengths: Mapping[TaskKey, int] = field(default_factory=dict)
    """The seconds to count for each video, where it is needed."""
    overruns: Overruns = field(default_factory=Overruns)
    """Charges above the worst case."""


def experience(directory: Path, has_needs: bool) -> Experience:
    """What the ledger of a run directory has to say; lengths only if tasks need others.

    Raises:
        Unreadable: it can't be read.
    """

    def read(db: sqlite3.Connection) -> Experience:
        if not _is_current(db):
            return Experience()
        return Experience(measured_lengths(db) if has_needs else {}, overruns(db))

    return asked(directory, read) or Experience()


async def charged_unpriced(ledger: Ledger) -> Counter[str]:
    """How many attempts at each model may be charged, and have no price in the currency of this run."""
    return await ledger.ask_history(charged_without_price)


async def committed_so_far(ledger: Ledger) -> Amount:
    """What all runs in the directory have, or may have, cost, in the currency of this run's prices."""
    return await ledger.ask_history(lambda db: committed(db, "")[Per.DIRECTORY])


async def newest_attempt(ledger: Ledger) -> int:
    """The ledger's number of the newest attempt; 0 if there is none."""
    return await ledger.ask_history(_newest_attempt)


async def note_confirmed(
    ledger: Ledger, agreed: Confirmed | None, edited: Iterable[TaskKey] = ()
) -> Confirmed | None:
    """Record what the user has agreed to spend, if anything; return it with what was agreed to before.

    `edited` are the tasks that were named because their old version is paid.

    Raises:
        StorageError: it can't be written.
    """
    earlier = _confirmed(await ledger.meta(_CONFIRMED))
    if agreed is None:
        return earlier
    if fresh := frozenset(edited):
        keys = sorted(fresh | _confirmed_edits(await ledger.meta(_EDITED)))
        await ledger.set_meta(_EDITED, json.dumps(keys))
    together = agreed.including(earlier)
    await ledger.set_meta(_CONFIRMED, json.dumps(asdict(together)))
    return together


def _confirmed(text: str) -> Confirmed | None:
    if not text:
        return None
    values = json.loads(text)
    return Confirmed(**{**values, "unpriced": tuple(values["unpriced"])})


def _confirmed_edits(text: str) -> frozenset[TaskKey]:
    return frozenset(TaskKey(key) for key in json.loads(text or "[]"))


def _meta(db: sqlite3.Connection, name: str) -> str:
    return "".join(value for (value,) in db.execute("SELECT value FROM meta WHERE name = ?", (name,)))


def _is_current(db: sqlite3.Connection) -> bool:
    return pragma(db, "user_version") == SCHEMA_VERSION


def _newest_attempt(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()[0])


def _prospect(db: sqlite3.Connection, planned: Iterable[TaskKey], currency: str) -> Prospect:
    begun: frozenset[TaskKey] = frozenset()
    left: tuple[Left, ...] = ()
    here = {TaskKey(key) for (key,) in db.execute("SELECT key FROM tasks WHERE position IS NOT NULL")}
    gone = here.difference(planned)
    if gone or db.execute("SELECT 1 FROM tasks WHERE position IS NULL LIMIT 1").fetchall():
        paid = paid_tasks(db)
        rows = db.execute(
            "SELECT key, id, source, position IS NULL, CASE WHEN instr(request, '\"task\":') THEN request "
            "ELSE '' END FROM tasks ORDER BY rowid"
        )
        left = tuple(
            Left(name, source, key in paid, request)
            for key, name, source, left_before, request in rows
            if key in gone or (left_before and key in paid)
        )
        submitted = db.execute("SELECT key FROM tasks WHERE attempts > 0 OR state <> 'pending'")
        begun = frozenset(TaskKey(key) for (key,) in submitted) | _confirmed_edits(_meta(db, _EDITED))
    agreed = _confirmed(_meta(db, _CONFIRMED))
    is_current = _is_current(db)
    spent = committed(db, "")[Per.DIRECTORY] if is_current and has_only(db, currency) else None
    return Prospect(
        committed=spent,
        newest_attempt=_newest_attempt(db),
        confirmed=agreed,
        left=left,
        begun=begun,
        is_current=is_current,
        finished=tuple(aggregates.generation_times(db)),
    )
