"""Reconciles the ledger with the plan in one transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from batchrunner.core.model import Plan, PlannedTask, Pricing, TaskKey
from batchrunner.core.plan import file_name, folded, version_name
from batchrunner.ledger.changes import note_other_rows
from batchrunner.version import __version__

WRITTEN = ("position", "id", "labels", "source", "request", "inputs")
"""Columns taken from the manifest; all others record what happened."""
_GIVEN_NAMES = "SELECT file_name FROM tasks UNION SELECT file_name FROM attempts"
"""Every name that a video ever had or will have; no file is ever overwritten."""

_COLUMNS = ", ".join(WRITTEN)
_PLANNED = """
CREATE TEMP TABLE planned (
    key TEXT, first TEXT, position INTEGER PRIMARY KEY, id TEXT, labels TEXT, source TEXT,
    request TEXT, inputs TEXT
)
"""
_CHANGE = (
    f"UPDATE tasks SET ({_COLUMNS}) = ({', '.join(f'p.{name}' for name in WRITTEN)}) FROM planned p "
    f"WHERE p.key = tasks.key AND ({' OR '.join(f'p.{name} IS NOT tasks.{name}' for name in WRITTEN)})"
)
_LEAVE = (
    "UPDATE tasks SET position = NULL WHERE position IS NOT NULL AND key NOT IN (SELECT key FROM planned)"
)
_ADD = (
    f"INSERT INTO tasks (key, first, {_COLUMNS}, file_name, state) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')"
)


def bring_in_line(db: sqlite3.Connection, plan: Plan, on_disk: frozenset[str]) -> int:
    """Add new tasks, refresh the others, and unplan those no longer in the plan; return their number.

    Nothing is deleted and no state changes: what was paid for keeps its row, its file and its cost.
    """
    if not _is_other(db, plan):
        return 0
    planned = map(_written, plan.tasks)
    if not db.execute("SELECT 1 FROM tasks LIMIT 1").fetchall():
        _add(db, planned, on_disk)
        return 0
    db.execute(_PLANNED)
    db.executemany("INSERT INTO planned VALUES (?, ?, ?, ?, ?, ?, ?, ?)", planned)
    db.execute("CREATE UNIQUE INDEX temp.planned_by_key ON planned (key)")
    db.execute(_CHANGE)
    gone = db.execute(_LEAVE).rowcount
    db.execute("DELETE FROM planned WHERE key IN (SELECT key FROM tasks)")
    _add(db, db.execute(f"SELECT key, first, {_COLUMNS} FROM planned ORDER BY position"), on_disk)
    db.execute("DROP TABLE planned")
    return gone


def _is_other(db: sqlite3.Connection, plan: Plan) -> bool:
    """Whether the plan is not the one of the last time; record it with its settings."""
    # The digest is part of the settings: an older version, which doesn't know it, removes it with them.
    plan_of = {"version": __version__, "digest": plan.tasks.digest()}
    settings = {"name": plan.name, "run": asdict(plan.settings), "pricing": _stored(plan.pricing)}
    models = {"models": plan.models} if plan.models else {}
    text = json.dumps(settings | models | {"plan": plan_of})
    if db.execute("SELECT 1 FROM meta WHERE name = 'settings' AND value = ?", (text,)).fetchall():
        return False
    db.execute("INSERT OR REPLACE INTO meta VALUES ('settings', ?)", (text,))
    return True


def _stored(pricing: Pricing) -> dict[str, Any]:
    """The prices of the manifest; what accounts pay in relation to them is not the manifest's."""
    return {"currency": pricing.currency, "per_million_tokens": dict(pricing.per_million_tokens)}


def _add(db: sqlite3.Connection, new: Iterable[Sequence[Any]], on_disk: frozenset[str]) -> None:
    added = db.executemany(_ADD, _with_names(db, new, on_disk))
    if added.rowcount > 0:
        note_other_rows(db)


def give_free_names(db: sqlite3.Connection, on_disk: frozenset[str]) -> None:
    """Give tasks that were never submitted other file names if theirs are among those `on_disk`, folded."""
    query = "SELECT key, id, file_name FROM tasks WHERE state = 'pending' AND attempts = 0"
    met = [row for row in db.execute(query).fetchall() if folded(row[2]) in on_disk]
    taken = _taken(db, on_disk) if met else set()
    for key, task_id, _ in met:
        name = file_name(task_id, TaskKey(key), taken)
        taken.add(folded(name))
        db.execute("UPDATE tasks SET file_name = ? WHERE key = ?", (name, key))


def name_next_versions(db: sqlite3.Connection, keys: Iterable[TaskKey], on_disk: frozenset[str]) -> None:
    """Give tasks the file names of their next versions, none of them among those `on_disk`, folded."""
    taken = _taken(db, on_disk)
    for key in keys:
        ((name, version),) = db.execute("SELECT file_name, version + 1 FROM tasks WHERE key = ?", (key,))
        new = version_name(name, version, taken)
        taken.add(folded(new))
        db.execute("UPDATE tasks SET file_name = ?, version = ? WHERE key = ?", (new, version, key))


def _taken(db: sqlite3.Connection, on_disk: frozenset[str]) -> set[str]:
    """The folded names that no further video may have."""
    return {*on_disk, *(folded(name) for (name,) in db.execute(_GIVEN_NAMES))}


def _written(task: PlannedTask) -> tuple[object, ...]:
    """A task's row in the table `planned`."""
    first, content = task.first if task.first != task.key else None, task.content
    written = (task.position, task.id, task.labels_text, task.source, content.stored, content.form.inputs)
    return (task.key, first, *written)


def _with_names(
    db: sqlite3.Connection, new: Iterable[Sequence[Any]], on_disk: frozenset[str]
) -> Iterator[tuple[object, ...]]:
    """The rows of new tasks, each with the name of its file."""
    taken: set[str] | None = None
    for row in new:
        if taken is None:
            taken = _taken(db, on_disk)
        key, _, _, task_id, *_ = row
        name = file_name(task_id, TaskKey(key), taken)
        taken.add(folded(name))
        yield (*row, name)
