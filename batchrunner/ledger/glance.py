"""Reads what another run directory's ledger has paid for, without changing or locking it."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.core.model import TaskKey
from batchrunner.core.replicas import Known
from batchrunner.core.request import fingerprint
from batchrunner.core.states import TaskState
from batchrunner.ledger.database import APPLICATION_ID

_MAY_BE_CHARGED = (
    "SELECT 1 FROM attempts a WHERE a.task = t.key AND a.tokens IS NOT 0 "
    "AND (a.remote_id IS NOT NULL OR a.outcome IS NULL OR a.outcome IN ('unknown', 'lost', 'adopted'))"
)
"""Attempts that the gateway accepted or may have accepted, and did not refund."""
_IS_PAID = (
    "t.state IN ('submitting', 'in_doubt', 'generating', 'collecting', 'done', 'uncollected') "
    f"OR EXISTS ({_MAY_BE_CHARGED})"
)
PAID_REQUESTS = f"SELECT coalesce(t.first, t.key) FROM tasks t WHERE {_IS_PAID}"
"""The fingerprints of the requests of all tasks that are paid for, or may be."""
_TASKS = f"SELECT t.key, t.id, t.state, {{first}}, {_IS_PAID} FROM tasks t ORDER BY t.rowid"
_HAS_FIRST = "SELECT 1 FROM pragma_table_info('tasks') WHERE name = 'first'"


@dataclass(frozen=True, slots=True)
class Glance:
    """A ledger's gateway, its tasks, and which of them are paid for."""

    gateway: str
    tasks: tuple[Known, ...]
    paid: Counter[TaskKey]
    """How many tasks are paid for or may be, by the fingerprint of their request."""


class Unreadable(Exception):
    """The ledger can't be read: it is damaged, or its version is unknown."""


def glance(directory: Path) -> Glance | None:
    """Read what a run directory's ledger has paid for: any version, even during a run.

    None if the file is not a batchrunner ledger.

    Raises:
        Unreadable: it can't be read.
    """
    path = directory / LEDGER_NAME
    try:
        try:
            return _read(path, "mode=ro")
        except sqlite3.OperationalError:
            if path.with_name(f"{LEDGER_NAME}-wal").exists():
                raise
            # In a read-only folder, SQLite can't create the index of the write-ahead log.
            return _read(path, "immutable=1")
    except (sqlite3.Error, ValueError) as error:
        raise Unreadable(str(error)) from error


def _read(path: Path, how: str) -> Glance | None:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, timeout=10)) as db:
        ((owner,),) = db.execute("PRAGMA application_id").fetchall()
        if owner != APPLICATION_ID:
            return None
        gateway = [value for (value,) in db.execute("SELECT value FROM meta WHERE name = 'gateway'")]
        # Older versions don't store it.
        has_first = db.execute(_HAS_FIRST).fetchall()
        db.create_function("fingerprint_of", 1, lambda text: fingerprint(json.loads(text)))
        query = _TASKS.format(first="coalesce(t.first, t.key)" if has_first else "fingerprint_of(t.request)")
        states = {state.value: state for state in TaskState}
        tasks, paid = [], Counter[TaskKey]()
        for key, name, state, first, is_paid in db.execute(query):
            tasks.append(Known(key, name, states[state], first))
            if is_paid:
                paid[first] += 1
    return Glance("".join(gateway), tuple(tasks), paid)
