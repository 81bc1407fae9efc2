"""Writes results.csv from the ledger: one row per task, replaced atomically."""

from __future__ import annotations

import asyncio
import csv
import io
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.core.file_status import FileState, warning
from batchrunner.core.redaction import redacted, redacted_url
from batchrunner.core.states import TaskState
from batchrunner.core.text import printable
from batchrunner.ledger import Ledger, LedgerReader, TaskRecord
from batchrunner.output.results_backup import digest_of, keep_copy

LABEL = "label."
REFRESH_INTERVAL = 15.0
"""Minimum nominal seconds between two writes during a run."""

_FORMULA_STARTS = ("=", "+", "-", "@")


def from_network(text: str) -> str:
    """Text from the network without control characters, and escaped if a spreadsheet would read a formula."""
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
    return redacted("; ".join(filter(None, (task.error_message, seen))))


def _file_warning(task: TaskRecord) -> str:
    """The warning about a finished video's file, if any."""
    if task.state is not TaskState.DONE:
        return ""
    return warning(task.file_name, FileState(task.file_state or ""), task.links_dead)


def header(tasks: Sequence[TaskRecord]) -> list[str]:
    """All column names: the fixed ones, then one per label in order of first appearance."""
    labels = dict.fromkeys(name for task in tasks for name in task.labels)
    return [*COLUMNS, *(LABEL + name for name in labels)]


def row(task: TaskRecord, labels: Iterable[str]) -> list[object]:
    """One task's row."""
    cells = [column(task) for column in COLUMNS.values()] + [task.labels.get(name, "") for name in labels]
    return ["" if cell is None else cell for cell in cells]


def as_csv(tasks: Sequence[TaskRecord], excel: bool = False) -> bytes:
    """The file's content: UTF-8, RFC 4180; `excel` adds the byte order mark Excel needs to detect UTF-8."""
    names = header(tasks)
    labels = [name.removeprefix(LABEL) for name in names[len(COLUMNS) :]]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows(row(task, labels) for task in tasks)
    return text.getvalue().encode("utf-8-sig" if excel else "utf-8", errors="replace")


class Results:
    """Keeps results.csv up to date during a run, and writes it at the end."""

    def __init__(
        self,
        reader: LedgerReader,
        ledger: Ledger,
        directory: Path,
        clock: Clock,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._reader, self._ledger, self._directory, self._clock = reader, ledger, directory, clock
        self._notice = notice
        self._outdated = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def outdated(self) -> None:
        """The ledger has changed."""
        self._outdated.set()

    async def write(self) -> None:
        """Write the file now.

        A cancelled write continues in its thread; it is awaited first, so that the newest content wins.
        """
        if self._writing:
            await asyncio.wait({self._writing})
        self._outdated.clear()
        self._writing = asyncio.create_task(self._written(), name=RESULTS_NAME)
        # The caller of a cancelled write never sees its error; the next write will fail the same way.
        self._writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(self._writing)

    async def _written(self) -> None:
        # Use the reader: after a failed write the writer may not respond.
        tasks = await self._reader.tasks(planned_only=True)
        if kept := await write_noted(self._ledger, self._directory, tasks, known_by=self._reader):
            self._notice(kept)

    async def keep_fresh(self) -> None:
        """Write the file whenever the ledger has changed, using at most a twentieth of the time."""
        while True:
            await self._outdated.wait()
            began = self._clock.now()
            await self.write()
            await self._clock.sleep(max(REFRESH_INTERVAL, 20 * (self._clock.now() - began)))


async def write_noted(
    ledger: Ledger,
    directory: Path,
    tasks: Sequence[TaskRecord],
    excel: bool = False,
    known_by: LedgerReader | None = None,
) -> str:
    """Write results.csv; a file edited by somebody else is first copied to a backup.

    The ledger holds the hashes of the versions it wrote. The new hash is recorded before the rename, so
    that a crash leaves nothing that looks edited. Returns a notice for the user, or an empty text.

    Raises:
        StorageError: the file can't be written; the old one is still there.
    """
    content = await asyncio.to_thread(as_csv, tasks, excel)
    new, there = digest_of(content), await asyncio.to_thread(_there, directory)
    known = await (known_by or ledger).results_written()
    is_ours = not there or known is None or there in known or there == new
    if there != new or not known or new not in known:
        with suppress(StorageError):  # write the CSV even if the ledger can't be written
            await ledger.note_results([new, there] if there and is_ours else [new])
    if there == new:
        return ""
    kept = await asyncio.to_thread(write, directory, content, keep=not is_ours)
    return (
        f"{RESULTS_NAME} was edited, or written by another ledger; the old file is kept as {kept.name}"
        if kept
        else ""
    )


def _there(directory: Path) -> str:
    """The hash of the existing results.csv; empty if it is missing or empty."""
    path = directory / RESULTS_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _refused(path, error) from error
    return digest_of(content) if content else ""


def write(directory: Path, content: bytes, keep: bool = False) -> Path | None:
    """Replace results.csv, with `keep` after copying the old one to a backup.

    An identical file is not rewritten. Returns the path of the backup.

    Raises:
        StorageError: the file can't be written; the old one is still there.
    """
    path = directory / RESULTS_NAME
    kept = None
    part = directory / f".{RESULTS_NAME}.{secrets.token_hex(4)}.part"
    try:
        if path.exists() and path.read_bytes() == content:
            return None
        if keep:
            kept = keep_copy(path)
        try:
            with part.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            with suppress(OSError):  # the next run removes it
                part.unlink()
            raise
    except OSError as error:
        raise _refused(path, error) from error
    return kept


def _refused(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"can't write {path}: {error.strerror}",
        "free disk space or fix the disk; `batchrunner results DIR` rewrites it from the ledger",
    )
