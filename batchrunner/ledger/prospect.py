"""What a ledger says about a run that has not begun: read without changing or locking it, in any version."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from batchrunner.core.budget import Amount, Per
from batchrunner.core.confirmation import Confirmed
from batchrunner.core.kinds import Kind
from batchrunner.core.model import TaskKey
from batchrunner.ledger import aggregates
from batchrunner.ledger.database import SCHEMA_VERSION, pragma
from batchrunner.ledger.glance import asked, paid_tasks
from batchrunner.ledger.ledger import Ledger
from batchrunner.ledger.spending import committed

_CONFIRMED = "confirmed"


class Left(NamedTuple):
    """A task that leaves the plan with this run."""

    id: str
    source: str
    is_paid: bool
    """Whether it is paid for, or may be."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """What is known before a run."""

    committed: Amount = field(default_factory=Amount)
    """What all runs in the directory have, or may have, cost."""
    confirmed: Confirmed | None = None
    """What the user has agreed to."""
    left: tuple[Left, ...] = ()
    """The tasks that leave the plan."""
    known: frozenset[TaskKey] = frozenset()
    """All tasks in the ledger, if any leaves the plan."""
    is_current: bool = False
    """Whether there is a ledger, and of this version: readers refuse others, which a run upgrades."""
    finished: tuple[tuple[Kind, float], ...] = ()
    """How long generations of each kind took; see `aggregates.generation_times`."""


def prospect(directory: Path, planned: Iterable[TaskKey]) -> Prospect:
    """What the ledger of a run directory says about a run of these tasks.

    Raises:
        Unreadable: it can't be read.
    """
    return asked(directory, partial(_prospect, planned=planned)) or Prospect()


async def note_confirmed(ledger: Ledger, agreed: Confirmed) -> None:
    """Record what the user has agreed to spend, besides what was agreed to before.

    Raises:
        StorageError: it can't be written.
    """
    earlier = _confirmed(await ledger.meta(_CONFIRMED))
    await ledger.set_meta(_CONFIRMED, json.dumps(asdict(agreed.including(earlier))))


def _confirmed(text: str) -> Confirmed | None:
    if not text:
        return None
    values = json.loads(text)
    return Confirmed(**{**values, "unpriced": tuple(values["unpriced"])})


def _prospect(db: sqlite3.Connection, planned: Iterable[TaskKey]) -> Prospect:
    known: frozenset[TaskKey] = frozenset()
    left: tuple[Left, ...] = ()
    here = {TaskKey(key) for (key,) in db.execute("SELECT key FROM tasks WHERE position IS NOT NULL")}
    if gone := here.difference(planned):
        paid = paid_tasks(db)
        known = frozenset(TaskKey(key) for (key,) in db.execute("SELECT key FROM tasks"))
        rows = db.execute("SELECT key, id, source FROM tasks WHERE position IS NOT NULL ORDER BY rowid")
        left = tuple(Left(name, source, key in paid) for key, name, source in rows if key in gone)
    stored = db.execute("SELECT value FROM meta WHERE name = ?", (_CONFIRMED,))
    agreed = _confirmed("".join(value for (value,) in stored))
    # A ledger of an older version has no sums, but nothing that was confirmed either.
    spent = committed(db, "")[Per.DIRECTORY] if _has_sums(db) else Amount()
    is_current = pragma(db, "user_version") == SCHEMA_VERSION
    return Prospect(spent, agreed, left, known, is_current, tuple(aggregates.generation_times(db)))


def _has_sums(db: sqlite3.Connection) -> bool:
    return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'spending'").fetchall())
