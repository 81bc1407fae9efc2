"""How long the videos are that a stored request needs: they are charged with it."""

from __future__ import annotations

import json
import sqlite3
from math import ceil
from typing import Any

from batchrunner.core.model import Part, TaskKey
from batchrunner.core.needs import needs_in, with_lengths
from batchrunner.core.request import duration_of

_NEEDED = (
    "SELECT t.request, (SELECT max(a.duration) FROM attempts a WHERE a.task = t.key) "
    "FROM tasks t WHERE t.key = ?"
)


def estimable(db: sqlite3.Connection, text: str) -> dict[str, Any]:
    """A stored request as `core.estimate` takes it: with the length of each video that it needs.

    The length is the one requested for that video, or that of its longest finished version if one came out
    longer. If the request leaves it open, it is not known here either, as it was not before the run.
    """
    request: dict[str, Any] = json.loads(text)
    lengths: dict[TaskKey, int] = {}
    for need in needs_in(request):
        for needed, measured in db.execute(_NEEDED, (need.task,)) if need.part is Part.VIDEO else ():
            if requested := duration_of(json.loads(needed)):
                lengths[need.task] = max(requested, _estimable(measured or 0.0))
    completed: dict[str, Any] = with_lengths(request, lengths) if lengths else request
    return completed


def measured_lengths(db: sqlite3.Connection) -> dict[TaskKey, int]:
    """How long the videos of tasks came out, the longest version of each, as `estimable` counts it."""
    rows = db.execute("SELECT task, max(duration) FROM attempts WHERE duration > 0 GROUP BY task")
    return {TaskKey(key): _estimable(seconds) for key, seconds in rows}


def _estimable(seconds: float) -> int:
    """The estimate counts a second more than this, for the picture by which a video is longer."""
    return ceil(seconds) - 1
