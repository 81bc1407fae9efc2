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

    @property
    def key(self) -> str:
        """Its fingerprint."""
        return fingerprint(self.request, self.replica)

    @property
    def request(self) -> dict[str, Any]:
        """Its request."""
        return normalise({"model": "fast", "prompt": self.prompt, "metadata": dict(self.metadata)})


def finished_run(directory: Path, tasks: Iterable[Made], name: str = "cats") -> Path:
    """A run directory in which these tasks are done; one that is there already gets more tasks."""
    (directory / "videos").mkdir(parents=True, exist_ok=True)
    asyncio.run(_create(directory))
    with closing(sqlite3.connect(directory / LEDGER_NAME)) as db, db:
        db.execute("INSERT OR REPLACE INTO meta VALUES ('settings', ?)", (json.dumps({"name": name}),))
        for task in tasks:
            _add(db, directory, task)
    return directory


async def _create(directory: Path) -> None:
    async with Ledger.open(directory):
        pass


def _add(db: sqlite3.Connection, directory: Path, task: Made) -> None:
    file_name = f"videos/{task.file or task.id}.mp4"
    path = directory / file_name
    path.write_bytes(task.data)
    request = json.dumps(task.request)
    first = fingerprint(task.request)
    position = "(SELECT coalesce(max(position) + 1, 0) FROM tasks)" if task.planned else "NULL"
    db.execute("PRAGMA defer_foreign_keys = ON")
    db.execute(
        "INSERT INTO tasks (key, first, position, id, file_name, source, request, inputs, labels, state, "
        f"attempt, attempts) VALUES (?, ?, {position}, ?, ?, '', ?, '[]', ?, 'done', "
        "(SELECT coalesce(max(id), 0) + 1 FROM attempts), 1)",
        (
            task.key,
            first if task.replica > 1 else None,
            task.id,
            file_name,
            request,
            json.dumps(dict(task.labels)),
        ),
    )
    values = {
        "task": task.key,
        "number": 1,
        "seed": 7,
        "file_name": file_name,
        "submitted_at": 1.8e9,
        "finished_at": 1.8e9 + 60,
        "collected_at": 1.8e9 + 61.5,
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
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    db.execute(f"INSERT INTO attempts ({names}) VALUES ({marks})", tuple(values.values()))
