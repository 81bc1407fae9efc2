"""Reads what another run directory's ledger has paid for, without changing or locking it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.core.model import TaskKey
from batchrunner.core.replicas import Known
from batchrunner.core.request import fingerprint
from batchrunner.ledger import aggregates
from batchrunner.ledger.database import APPLICATION_ID

T = TypeVar("T")
_IS_PAID = (
    "t.state IN ('submitting', 'in_doubt', 'generating', 'collecting', 'done', 'uncollected') "
    f"OR EXISTS ({aggregates.MAY_BE_CHARGED})"
)
PAID_TASKS = f"SELECT t.key FROM tasks t WHERE {_IS_PAID}"
PAID_REQUESTS = f"SELECT coalesce(t.first, t.key) FROM tasks t WHERE {_IS_PAID}"
"""The tasks that are paid for, or may be, and the fingerprints of their requests."""
_HAS_FIRST = "SELECT 1 FROM pragma_table_info('tasks') WHERE name = 'first'"
_WITH_FIRST = (
    "CREATE TEMP VIEW tasks AS SELECT rowid, *, nullif(fingerprint_of(request), key) AS first FROM main.tasks"
)
"""Stands for the tasks of an older version, which doesn't store it."""
_OVER = "SELECT key, state FROM tasks WHERE state <> 'pending'"


@dataclass(frozen=True, slots=True)
class Glance:
    """A ledger's gateway, and what it has paid for."""

    gateway: str
    paid: Counter[TaskKey]
    """How many tasks are paid for or may be, by the fingerprint of their request."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known about the tasks of a ledger that a run would not add."""

    over: frozenset[TaskKey]
    """Those that are not pending."""
    failed: frozenset[TaskKey]
    """Those of them that failed, or were not collected."""
    replicas: tuple[Known, ...]
    """Those whose request several tasks have."""


class Unreadable(Exception):
    """The ledger can't be read: it is damaged, or its version is unknown."""


def glance(directory: Path) -> Glance | None:
    """Read what a run directory's ledger has paid for: any version, even during a run.

    None if the file is not a batchrunner ledger.

    Raises:
        Unreadable: it can't be read.
    """
    return asked(directory, _paid)


def begun(directory: Path, repeated: frozenset[TaskKey]) -> Begun | None:
    """The same for its tasks; `repeated` are the requests that several tasks of the plan have.

    Raises:
        Unreadable: it can't be read.
    """
    return asked(directory, partial(_begun, repeated=repeated))


def paid_tasks(db: sqlite3.Connection) -> frozenset[TaskKey]:
    """The tasks of a ledger that are paid for, or may be."""
    return frozenset(TaskKey(key) for (key,) in db.execute(PAID_TASKS))


def asked(directory: Path, question: Callable[[sqlite3.Connection], T]) -> T | None:
    """Put a question to the ledger of a run directory; None if the file is not a batchrunner ledger.

    Raises:
        Unreadable: it can't be read.
    """
    path = directory / LEDGER_NAME
    try:
        try:
            return _read(path, "mode=ro", question)
        except sqlite3.OperationalError:
            if path.with_name(f"{LEDGER_NAME}-wal").exists():
                raise
            # In a read-only folder, SQLite can't create the index of the write-ahead log.
            return _read(path, "immutable=1", question)
    except (sqlite3.Error, ValueError) as error:
        raise Unreadable(str(error)) from error


def _read(path: Path, how: str, question: Callable[[sqlite3.Connection], T]) -> T | None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=10)) as db:
        ((owner,),) = db.execute("PRAGMA application_id").fetchall()
        if owner != APPLICATION_ID:
            return None
        if not db.execute(_HAS_FIRST).fetchall():
            db.create_function("fingerprint_of", 1, lambda text: fingerprint(json.loads(text)))
            db.execute(_WITH_FIRST)
        return question(db)


def _paid(db: sqlite3.Connection) -> Glance:
    gateway = [value for (value,) in db.execute("SELECT value FROM meta WHERE name = 'gateway'")]
    return Glance("".join(gateway), Counter(TaskKey(first) for (first,) in db.execute(PAID_REQUESTS)))


def _begun(db: sqlite3.Connection, repeated: frozenset[TaskKey]) -> Begun:
    over = {TaskKey(key): state for key, state in db.execute(_OVER)}
    failed = frozenset(key for key, state in over.items() if state in ("failed", "uncollected"))
    return Begun(frozenset(over), failed, tuple(aggregates.known(db, repeated)))
