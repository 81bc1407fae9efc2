"""Reads what the report shows: tasks with their requests, and every video that was ever made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

_CURSOR_ROWS = 200
"""Rows fetched together: requests may be long."""


class ShownTask(NamedTuple):
    """A task as the report shows it. JSON stays as text."""

    key: str
    position: int | None
    """Place in the plan; None: no longer in the manifest."""
    id: str
    state: str
    source: str
    request: str
    """JSON object: local files are `{"sha256": …}`."""
    inputs: str
    """JSON list of files and URLs."""
    labels: str
    """JSON object."""
    attempts: int
    error_code: str
    error_message: str
    looked_up: str
    warnings: str
    """JSON list."""
    remote_id: str | None
    tokens: int | None


class Take(NamedTuple):
    """A video that was made of a task. Times are Unix seconds; None means unknown."""

    task: str
    file_name: str
    """Relative to the run directory."""
    is_current: int
    """Whether it is the task's newest version."""
    remote_id: str | None
    seed: int | None
    tokens: int | None
    cost: float | None
    currency: str | None
    duration: float | None
    """Seconds."""
    width: int | None
    """Pixels."""
    height: int | None
    fps: float | None
    size: int | None
    """Bytes."""
    sha256: str | None
    last_frame_file: str | None
    submitted_at: float | None
    finished_at: float | None
    collected_at: float | None
    generation_seconds: float | None
    """Nominal seconds."""
    account: str
    """The account that it was submitted with; empty if that had no name."""


class Stay(NamedTuple):
    """When a submission was in flight. Times are Unix seconds; None means unknown, or not yet."""

    submitted_at: float
    finished_at: float | None
    collected_at: float | None
    generation_seconds: float | None
    cost: float | None
    currency: str | None
    state: str
    """The state of its task; empty for an attempt that is not the newest."""


class Gallery(NamedTuple):
    """One state of a ledger, as the report shows it."""

    tasks: list[ShownTask]
    """In plan order, those no longer planned last."""
    takes: list[Take]
    """Every video that was collected, oldest first."""
    stays: list[Stay]
    """When each accepted submission was in flight, oldest first."""


_ORDER = "ORDER BY t.position IS NULL, t.position, t.rowid"
_TAKE_COLUMNS = ", ".join(f"a.{name}" for name in Take._fields[3:])


def read_gallery(db: sqlite3.Connection, planned_only: bool) -> Gallery:
    """Read all of it at once: a longer look would keep a run from tidying up its ledger.

    With `planned_only`, only doubts among the tasks that are no longer planned.
    """
    return Gallery(list(_tasks(db, planned_only)), list(_takes(db)), list(_stays(db)))


def _tasks(db: sqlite3.Connection, planned_only: bool) -> Iterator[ShownTask]:
    where = "WHERE t.position IS NOT NULL OR t.state = 'in_doubt'" if planned_only else ""
    query = (
        "SELECT t.key, t.position, t.id, t.state, t.source, t.request, t.inputs, t.labels, t.attempts, "
        "t.error_code, t.error_message, coalesce(a.looked_up, ''), t.warnings, "
        "a.remote_id, a.tokens "
        f"FROM tasks t LEFT JOIN attempts a ON a.id = t.attempt {where} {_ORDER}"
    )
    return map(ShownTask._make, _each(db, query))


def _takes(db: sqlite3.Connection) -> Iterator[Take]:
    query = (
        f"SELECT a.task, a.file_name, a.id = t.attempt, {_TAKE_COLUMNS} FROM attempts a "
        "JOIN tasks t ON t.key = a.task WHERE a.collected_at IS NOT NULL ORDER BY a.id"
    )
    return map(Take._make, _each(db, query))


def _stays(db: sqlite3.Connection) -> Iterator[Stay]:
    query = (
        "SELECT a.submitted_at, a.finished_at, a.collected_at, a.generation_seconds, a.cost, a.currency, "
        "CASE WHEN a.id = t.attempt THEN t.state ELSE '' END FROM attempts a "
        "JOIN tasks t ON t.key = a.task WHERE a.remote_id IS NOT NULL ORDER BY a.id"
    )
    return map(Stay._make, _each(db, query))


def _each(db: sqlite3.Connection, query: str) -> Iterator[tuple[object, ...]]:
    cursor = db.cursor()
    cursor.row_factory = None  # plain tuples are faster
    cursor.execute(query)
    while rows := cursor.fetchmany(_CURSOR_ROWS):
        yield from rows
