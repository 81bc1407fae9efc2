"""Keeps results.csv up to date: each new version is written beside the old one and replaces it atomically."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.ledger import Ledger, LedgerReader, TaskRecord
from batchrunner.output.results import write_csv
from batchrunner.output.results_backup import keep_copy

REFRESH_INTERVAL = 15.0
"""Minimum nominal seconds between two writes during a run."""


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
        """Note that the ledger has changed."""
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
        _, kept = await update(self._ledger, self._directory, read_by=self._reader)
        if kept:
            self._notice(kept)

    async def keep_fresh(self) -> None:
        """Write the file whenever the ledger has changed, using at most a twentieth of the time."""
        while True:
            await self._outdated.wait()
            began = self._clock.now()
            await self.write()
            await self._clock.sleep(max(REFRESH_INTERVAL, 20 * (self._clock.now() - began)))


@dataclass(frozen=True, slots=True)
class NewResults:
    """A new results.csv, not in place yet."""

    part: Path
    sha256: str
    rows: int


async def update(
    ledger: Ledger,
    directory: Path,
    planned_only: bool = True,
    excel: bool = False,
    read_by: LedgerReader | None = None,
) -> tuple[int, str]:
    """Write results.csv from the ledger; return its number of rows, and a notice for the user if any.

    The tasks are read and written one by one, in a thread, by the connection of `read_by` if given.

    Raises:
        StorageError: the file can't be written; the old one is still there.
    """
    reader = read_by or ledger
    labels = await reader.labels(planned_only)
    new = await reader.read_tasks(partial(make, directory, labels, excel), planned_only)
    return new.rows, await put_in_place(ledger, directory, new, reader)


def make(directory: Path, labels: Sequence[str], excel: bool, tasks: Iterable[TaskRecord]) -> NewResults:
    """Write the file durably under a temporary name.

    Raises:
        StorageError: the disk returned an error; no partial file is left.
    """
    part = directory / f".{RESULTS_NAME}.{secrets.token_hex(4)}.part"
    try:
        try:
            with part.open("x+b") as file:
                rows = write_csv(file, tasks, labels, excel)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                return NewResults(part, hashlib.file_digest(file, "sha256").hexdigest(), rows)
        except BaseException:
            with suppress(OSError):  # the next run removes it
                part.unlink()
            raise
    except OSError as error:
        raise _refused(directory / RESULTS_NAME, error) from error


async def put_in_place(ledger: Ledger, directory: Path, new: NewResults, known_by: LedgerReader) -> str:
    """Replace the old file with a new one, after backing up the old one if somebody else has edited it.

    The ledger holds the hashes of the versions it wrote. The new hash is recorded before the rename, so
    that a crash leaves nothing that looks edited. An identical file is not replaced. Returns a notice for
    the user, or an empty text.

    Raises:
        StorageError: the file can't be written; the old one is still there.
    """
    try:
        there = await asyncio.to_thread(_there, directory)
        known = await known_by.results_written()
        is_ours = not there or known is None or there in known or there == new.sha256
        if there != new.sha256 or not known or new.sha256 not in known:
            with suppress(StorageError):  # write the CSV even if the ledger can't be written
                await ledger.note_results([new.sha256, there] if there and is_ours else [new.sha256])
        if there == new.sha256:
            return ""
        kept = await asyncio.to_thread(_replaced, directory / RESULTS_NAME, new.part, not is_ours)
        return (
            f"{RESULTS_NAME} was edited, or written by another ledger; the old file is kept as {kept.name}"
            if kept
            else ""
        )
    finally:
        new.part.unlink(missing_ok=True)


def _there(directory: Path) -> str:
    """The hash of the existing results.csv; empty if it is missing or empty."""
    path = directory / RESULTS_NAME
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if path.stat().st_size else ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise _refused(path, error) from error


def _replaced(path: Path, part: Path, keep: bool) -> Path | None:
    """Rename `part` to `path`, with `keep` after copying the old file; return the path of the copy."""
    try:
        kept = keep_copy(path) if keep else None
        part.replace(path)
    except OSError as error:
        raise _refused(path, error) from error
    return kept


def _refused(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"can't write {path}: {error.strerror}",
        "free disk space or fix the disk; `batchrunner results DIR` rewrites it from the ledger",
    )
