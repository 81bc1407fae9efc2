"""Which tasks of a plan need which others, kept beside its tasks."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from batchrunner.core.model import Part, TaskKey

TABLE = "CREATE TABLE needs (position INTEGER, on_position INTEGER, part TEXT);"
_INDEX = "CREATE INDEX IF NOT EXISTS needs_by_need ON needs (on_position)"


class Link(NamedTuple):
    """What a task needs of another one."""

    on: int
    """The other one's position in the plan."""
    part: Part


def enter(db: sqlite3.Connection, needs: Mapping[int, Sequence[Link]]) -> None:
    """Enter what the tasks at these positions need."""
    rows = ((position, one.on, one.part.value) for position, each in needs.items() for one in each)
    db.executemany("INSERT INTO needs VALUES (?, ?, ?)", rows)
    db.execute(_INDEX)


def needed_by(db: sqlite3.Connection) -> dict[TaskKey, set[TaskKey]]:
    """The tasks that need others, each with those that it needs."""
    found: dict[TaskKey, set[TaskKey]] = defaultdict(set)
    query = (
        "SELECT t.key, o.key FROM needs n JOIN tasks t ON t.position = n.position "
        "JOIN tasks o ON o.position = n.on_position"
    )
    for key, on in db.execute(query):
        found[TaskKey(key)].add(TaskKey(on))
    return dict(found)


def frames_needed(db: sqlite3.Connection) -> frozenset[TaskKey]:
    """The tasks whose last frame is needed."""
    query = "SELECT DISTINCT t.key FROM needs n JOIN tasks t ON t.position = n.on_position WHERE n.part = ?"
    return frozenset(TaskKey(key) for (key,) in db.execute(query, (Part.LAST_FRAME.value,)))


def dependants(db: sqlite3.Connection, positions: Iterable[int]) -> list[int]:
    """The positions of the tasks that need one of these, in plan order."""
    query = "SELECT position FROM needs WHERE on_position = ?"
    found = {row[0] for position in positions for row in db.execute(query, (position,))}
    return sorted(found)
