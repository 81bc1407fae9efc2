"""Writes results.csv from the ledger: one row per task, replaced atomically."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import BinaryIO

from batchrunner.core.file_status import FileState, warning
from batchrunner.core.redaction import redacted, redacted_url
from batchrunner.core.states import TaskState
from batchrunner.core.text import printable
from batchrunner.ledger import TaskRecord

LABEL = "label."
REFRESH_INTERVAL = 15.0
"""Minimum nominal seconds between two writes during a run."""

_FORMULA_STARTS = ("=", "+", "-", "@")


def from_network(text: str) -> str:
    """Text from the network without control characters, and escaped if a spreadsheet would read a formula."""
    if not text:
        return text
    clean = printable(text)
    return f"'{clean}" if clean.startswith(_FORMULA_STARTS) else clean


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _money(cost: float | None) -> str:
    return "" if cost is None else f"{cost:.6f}".rstrip("0").rstrip(".")


def _duration(task: TaskRecord) -> str:
    duration = task.metadata.get("duration")
    return "" if duration is None else str(duration)


_Column = Callable[[TaskRecord], object]

COLUMNS: dict[str, _Column] = {
    "id": lambda t: t.id,
    "state": lambda t: t.state.value,
    "file_name": lambda t: t.file_name if t.state is TaskState.DONE else "",
    "prompt": lambda t: t.request.get("prompt", ""),
    "inputs": lambda t: "; ".join(map(redacted_url, t.inputs)),
    "model": lambda t: t.model,
    "error_code": lambda t: from_network(t.error_code),
    "error_message": lambda t: from_network(_message(t)),
    "warnings": lambda t: from_network("; ".join(filter(None, (*t.warnings, _file_warning(t))))),
    "remote_id": lambda t: from_network(t.remote_id or ""),
    "attempts": lambda t: t.attempts,
    "seed": lambda t: t.seed,
    "tokens": lambda t: t.tokens,
    "cost": lambda t: _money(t.cost),
    "currency": lambda t: (t.currency or "") if t.cost is not None else "",
    "requested_duration": _duration,
    "requested_resolution": lambda t: t.metadata.get("resolution", ""),
    "requested_ratio": lambda t: t.metadata.get("ratio", ""),
    "duration": lambda t: t.duration,
    "width": lambda t: t.width,
    "height": lambda t: t.height,
    "fps": lambda t: t.fps,
    "bytes": lambda t: t.size,
    "sha256": lambda t: t.sha256,
    "last_frame_file": lambda t: t.last_frame_file,
    "submitted_at": lambda t: _time(t.submitted_at),
    "finished_at": lambda t: _time(t.finished_at),
    "collected_at": lambda t: _time(t.collected_at),
    "generation_seconds": lambda t: t.generation_seconds,
    "fingerprint": lambda t: t.key,
}
"""The fixed columns in order, with their values; `label.*` columns follow. Empty means unknown."""


def _message(task: TaskRecord) -> str:
    """The error message; for a task in doubt, also what the usage log showed."""
    seen = task.looked_up if task.state is TaskState.IN_DOUBT else None
    said = "; ".join(filter(None, (task.error_message, seen)))
    return redacted(said) if said else said


def _file_warning(task: TaskRecord) -> str:
    """The warning about a finished video's file, if any."""
    if task.state is not TaskState.DONE:
        return ""
    return warning(task.file_name, FileState(task.file_state or ""), task.links_dead)


def write_csv(file: BinaryIO, tasks: Iterable[TaskRecord], labels: Sequence[str], excel: bool = False) -> int:
    """Write the fixed columns and one for each label: UTF-8, RFC 4180; return the number of rows.

    `excel` adds the byte order mark that Excel needs to detect UTF-8.
    """
    encoding = "utf-8-sig" if excel else "utf-8"
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="", write_through=False)
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, *(LABEL + name for name in labels)])
    count = 0
    for task in tasks:
        writer.writerow(row(task, labels))
        count += 1
    text.flush()
    text.detach()
    return count


def row(task: TaskRecord, labels: Iterable[str]) -> list[object]:
    """One task's row."""
    return [*(column(task) for column in COLUMNS.values()), *(task.labels.get(name) for name in labels)]
