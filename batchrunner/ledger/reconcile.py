"""Reconciles the ledger with the plan in one transaction."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict

from batchrunner.core.model import Plan, PlannedTask, Request
from batchrunner.core.plan import digest_form, file_name, folded, inputs

WRITTEN = ("position", "id", "labels", "source", "request", "inputs")
"""Columns taken from the manifest; all others record what happened."""
GIVEN_NAMES = "SELECT file_name FROM tasks UNION SELECT file_name FROM attempts"
"""Every name that a video ever had or will have; no file is ever overwritten."""


def bring_in_line(db: sqlite3.Connection, plan: Plan, on_disk: frozenset[str]) -> int:
    """Add new tasks, refresh the others, and unplan those no longer in the plan; return their number.

    Nothing is deleted and no state changes: what was paid for keeps its row, its file and its cost.
    """
    db.execute(
        "INSERT INTO meta VALUES ('settings', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (json.dumps({"name": plan.name, "run": asdict(plan.settings), "pricing": asdict(plan.pricing)}),),
    )
    columns = ", ".join(WRITTEN)
    rows = db.execute(f"SELECT key, {columns} FROM tasks")
    known = {row["key"]: row for row in rows}
    given = db.execute(GIVEN_NAMES)
    taken = set(on_disk) | {folded(row["file_name"]) for row in given}
    new, changed = [], []
    for task in plan.tasks:
        row = known.pop(task.key, None)
        written = _written(task)
        if row is None:
            name = file_name(task.id, task.key, taken)
            taken.add(folded(name))
            new.append((task.key, *written, name))
        elif tuple(row[name] for name in WRITTEN) != written:
            changed.append((*written, task.key))
    gone = [(key,) for key, row in known.items() if row["position"] is not None]
    db.executemany(
        f"INSERT INTO tasks (key, {columns}, file_name, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
        new,
    )
    settings = ", ".join(f"{name} = ?" for name in WRITTEN)
    db.executemany(f"UPDATE tasks SET {settings} WHERE key = ?", changed)
    db.executemany("UPDATE tasks SET position = NULL WHERE key = ?", gone)
    return len(gone)


def _written(task: PlannedTask) -> tuple[int, str, str, str, str, str]:
    """A task's values for the `WRITTEN` columns."""
    labels = json.dumps(dict(task.labels), ensure_ascii=False)
    shown = json.dumps(inputs(task.request), ensure_ascii=False)
    return (task.position, task.id, labels, task.source, request_text(task.request), shown)


def request_text(request: Request) -> str:
    """The request as stored in the ledger: JSON, with local files and data URIs as hashes."""
    return json.dumps(digest_form(request), ensure_ascii=False)
