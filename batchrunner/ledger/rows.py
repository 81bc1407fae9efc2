"""Converts database rows to plain values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.doubts.restored import Wanted
from batchrunner.core.model import Ahead, AttemptId, OnDoubt, RunSettings, StopMode, TaskKey
from batchrunner.core.states import TaskState
from batchrunner.ledger.records import TaskRecord

_COLUMNS = TaskRecord._fields
_STATE, _REQUEST, _LABELS, _INPUTS, _WARNINGS = map(
    _COLUMNS.index, ("state", "request", "labels", "inputs", "warnings")
)
_TASK_COLUMNS = _COLUMNS[: _COLUMNS.index("attempt") + 1]
_ATTEMPT_COLUMNS = _COLUMNS[len(_TASK_COLUMNS) :]
SELECT_TASK = (
    f"SELECT {', '.join(f't.{name}' for name in _TASK_COLUMNS)}, "
    f"{', '.join(f'a.{name}' for name in _ATTEMPT_COLUMNS)} "
    "FROM tasks t LEFT JOIN attempts a ON a.id = t.attempt"
)
_IS_NAMED = (
    "WHERE t.id = ?1 OR (length(?1) >= 6 AND (substr(t.key, 3, length(?1)) = ?1 "
    "OR substr(t.key, 1, length(?1)) = ?1 OR substr(a.remote_id, 1, length(?1)) = ?1))"
)
_BEGINS_SO = "WHERE ?1 <> '' AND substr(t.id, 1, length(?1)) = ?1"
FIND = tuple(
    f"{SELECT_TASK} {where} ORDER BY t.position IS NULL, t.position" for where in (_IS_NAMED, _BEGINS_SO)
)
"""The tasks that a user's word means: first by whole IDs, and only if there is none, by a beginning."""


def settings_of(stored: Mapping[str, Any]) -> RunSettings:
    """A run's settings from their stored form."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    if "on_doubt" in values:
        values["on_doubt"] = OnDoubt(values["on_doubt"])
    if "stop" in values:
        values["stop"] = StopMode(values["stop"])
    if values.get("ahead"):
        values["ahead"] = Ahead(**values["ahead"])
    return RunSettings(**values)


def wanted_tasks(
    db: sqlite3.Connection, states: Sequence[TaskState], keys: Iterable[TaskKey] | None
) -> list[Wanted]:
    """The planned tasks in these states, or of these keys only, in plan order."""
    query = (
        "SELECT key, id, request, attempts, version, position FROM tasks WHERE position IS NOT NULL "
        f"AND state IN ({', '.join('?' * len(states))})"
    )
    if keys is None:
        rows = db.execute(query, states).fetchall()
    else:
        rows = [row for key in keys for row in db.execute(f"{query} AND key = ?", (*states, key))]
    rows.sort(key=itemgetter("position"))
    return [_wanted_of(row) for row in rows]


def _wanted_of(row: Any) -> Wanted:
    """A task that a run would submit, with what identifies its attempts."""
    request = json.loads(row["request"])
    metadata = request.get("metadata") or {}
    duration, ratio, seed = (metadata.get(name) for name in ("duration", "ratio", "seed"))
    return Wanted(
        key=TaskKey(row["key"]),
        id=row["id"],
        model=str(request.get("model", "")),
        duration=duration if isinstance(duration, int) and duration > 0 else None,
        resolution=metadata.get("resolution"),
        ratio=ratio if ratio != "adaptive" else None,
        attempts=row["attempts"],
        given_seed=seed if isinstance(seed, int) and row["version"] == 1 else None,
    )


def unowned_of(row: Any) -> Unowned:
    """A submission without a remote ID."""
    request = json.loads(row["request"])
    metadata = request.get("metadata") or {}
    duration = metadata.get("duration")
    return Unowned(
        attempt=AttemptId(row["id"]),
        key=TaskKey(row["key"]),
        id=row["name"],
        is_doubt=bool(row["is_doubt"]),
        model=str(request.get("model", "")),
        seed=row["seed"],
        duration=duration if isinstance(duration, int) and duration > 0 else None,
        resolution=metadata.get("resolution"),
        submitted_at=row["submitted_at"],
        ratio=ratio if (ratio := metadata.get("ratio")) != "adaptive" else None,
        request_id=row["request_id"] or "",
        process=row["process"] or "",
        account=row["account"],
        request=row["request"],
        paid_attempts=row["paid"],
    )


def record_of(row: Any) -> TaskRecord:
    """A task with its attempt, from a row of `SELECT_TASK`."""
    values = list(row)
    values[_STATE] = TaskState(values[_STATE])
    values[_REQUEST] = json.loads(values[_REQUEST])
    # Parse only what is not empty: most tasks have none of these, and there may be many tasks.
    values[_LABELS] = json.loads(values[_LABELS]) if values[_LABELS] != "{}" else {}
    for index in (_INPUTS, _WARNINGS):
        values[index] = tuple(json.loads(values[index])) if values[index] != "[]" else ()
    return TaskRecord._make(values)
