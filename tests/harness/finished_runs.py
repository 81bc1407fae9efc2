"""Run directories with finished videos, made without a gateway: what exports read."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from batchrunner.core.request import fingerprint, normalise
from batchrunner.ledger import LEDGER_NAME, Ledger
from batchrunner.storage.files import seen_as


class Made(NamedTuple):
    """A task that is done, and its video."""

    id: str
    prompt: str
    data: bytes = b"video"
    labels: Mapping[str, str] = {}
    metadata: Mapping[str, Any] = {}
    cost: float | None = 0.25
    replica: int = 1
    planned: bool = True
    file: str = ""
    """The name of its file, if not its ID."""
    image: Mapping[str, Any] | None = None
    """Its first frame, if another task makes it."""
    state: str = "done"
    """In other states than done, it has no video."""
    submitted_at: float = 1.8e9

    @property
    def key(self) -> str:
        """Its fingerprint."""
        return fingerprint(self.request, self.replica)

    @property
    def request(self) -> dict[str, Any]:
        """Its request."""
        fields = {"model": "fast", "prompt": self.prompt, "metadata": dict(self.metadata)}
        return normalise(fields | ({"image": self.image} if self.image else {}))

    @property
    def last_frame(self) -> dict[str, str]:
        """Its last frame as an input of another task."""
        return {"task": self.key, "part": "last_frame"}

    @property
    def clip(self) -> dict[str, str]:
        """Its video as an input of another task."""
        return {"task": self.key, "part": "video"}


def finished_run(directory: Path, tasks: Iterable[Made], name: str = "cats") -> Path:
    """A run directory in which these tasks are done; one that is there already gets more tasks."""
    (directory / "videos").mkdir(parents=True, exist_ok=True)
    asyncio.run(_create(directory))
    with closing(sqlite3.connect(directory / LEDGER_NAME)) as db, db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('settings', ?)", (json.dumps({"name": name}),))
        for task in tasks:
            _add(db, directory, task)
    return directory


def made_again(directory: Path, task: Made) -> None:
    """Replace the video of a finished task by a new version, as `retry --again` does."""
    with closing(sqlite3.connect(directory / LEDGER_NAME)) as db, db:
        file_name = f"videos/{task.id}-v2.mp4"
        (attempt,) = db.execute("SELECT max(id) + 1 FROM attempts").fetchone()
        _add_attempt(db, directory, task, file_name, attempt, number=2)
        db.execute(
            "UPDATE tasks SET attempt = ?, attempts = 2, version = 2, file_name = ? WHERE key = ?",
            (attempt, file_name, task.key),
        )


async def _create(directory: Path) -> None:
    async with Ledger.open(directory):
        pass


def _add(db: sqlite3.Connection, directory: Path, task: Made) -> None:
    file_name = f"videos/{task.file or task.id}.mp4"
    (attempt,) = db.execute("SELECT coalesce(max(id), 0) + 1 FROM attempts").fetchone()
    request = json.dumps(task.request)
    first = fingerprint(task.request)
    position = "(SELECT coalesce(max(position) + 1, 0) FROM tasks)" if task.planned else "NULL"
    db.execute("PRAGMA defer_foreign_keys = ON")
    db.execute(
        "INSERT INTO tasks (key, first, position, id, file_name, source, request, inputs, labels, state, "
        f"attempt, attempts) VALUES (?, ?, {position}, ?, ?, '', ?, '[]', ?, ?, ?, 1)",
        (
            task.key,
            first if task.replica > 1 else None,
            task.id,
            file_name,
            request,
            json.dumps(dict(task.labels)),
            task.state,
            attempt,
        ),
    )
    _add_attempt(db, directory, task, file_name, attempt, number=1)


def _add_attempt(
    db: sqlite3.Connection, directory: Path, task: Made, file_name: str, attempt: int, number: int
) -> None:
    values: dict[str, object] = {
        "id": attempt,
        "task": task.key,
        "number": number,
        "seed": 7,
        "file_name": file_name,
        "submitted_at": task.submitted_at,
    }
    if task.state == "done":
        values |= _video(directory / file_name, task)
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO attempts ({names}) VALUES ({marks})", tuple(values.values()))


def _video(path: Path, task: Made) -> dict[str, object]:
    path.write_bytes(task.data)
    return {
        "finished_at": task.submitted_at + 60,
        "collected_at": task.submitted_at + 61.5,
        "tokens": 40_000,
        "cost": task.cost,
        "currency": "USD" if task.cost is not None else None,
        "size": len(task.data),
        "sha256": hashlib.sha256(task.data).hexdigest(),
        "duration": 4.5,
        "width": 864,
        "height": 496,
        "fps": 24.0,
        "file_state": "",
        "file_seen": seen_as(path.stat()),
    }
