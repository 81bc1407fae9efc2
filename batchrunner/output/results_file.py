"""Keeps results.csv, and metadata.jsonl, up to date.

Each new version is written beside the old one and replaces it atomically.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.ledger import EXCEL, Ledger, LedgerReader, ResultRows
from batchrunner.output.results_backup import keep_copy
from batchrunner.output.results_version import (
    InPlace,
    Version,
    hash_in_place,
    in_place,
    made,
    refused,
)
from batchrunner.output.run_dataset import show_as_dataset

MANY_ROWS, FIRST_REFRESH = 20_000, 5.0
"""With so many rows, the first write of a run takes place after so many nominal seconds: it would delay the
first submissions. With fewer, a disk that can't be written to ends the run before more is submitted."""
REFRESH_INTERVAL = 15.0
"""Minimum nominal seconds between two writes during a run."""
MOST_WRITTEN = 1_000_000
"""Bytes per nominal second that these writes may take on average: runs of days must not wear out the disk."""


class Results:
    """Keeps the files up to date during a run, and writes them at the end."""

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
        self._former: Version | None = None
        """The version that this run wrote last."""

    def outdated(self) -> None:
        """Note that the ledger has changed."""
        self._outdated.set()

    async def write(self) -> None:
        """Write the files now.

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
        new = await self._reader.read_results(partial(_newest, self._directory, former=self._former))
        if isinstance(new, Version):
            kept = await put_in_place(self._ledger, self._directory, new, self._reader)
            self._former = new
            if kept:
                self._notice(kept)
        await _show_as_dataset(self._directory, new)

    async def keep_fresh(self, rows: int = 0) -> None:
        """Write the files whenever the ledger has changed, using at most a twentieth of the time.

        `rows` is about how many they have.
        """
        if rows >= MANY_ROWS:
            await self._clock.sleep(FIRST_REFRESH)
        while True:
            await self._outdated.wait()
            began = self._clock.now()
            await self.write()
            took = self._clock.now() - began
            size = self._former.size if self._former else 0
            await self._clock.sleep(max(REFRESH_INTERVAL, 20 * took, size / MOST_WRITTEN))


async def update(
    ledger: Ledger, directory: Path, planned_only: bool = True, excel: bool | None = None
) -> tuple[int, str]:
    """Write results.csv from the ledger; return its number of rows, and a notice for the user if any.

    `excel` says whether it is for Excel from now on; None leaves that as it is.

    Raises:
        StorageError: the file can't be written; the old one is still there.
    """
    if excel is not None:
        await ledger.set_meta(EXCEL, "yes" if excel else "")
    new = await ledger.read_results(partial(_newest, directory), planned_only)
    kept = await put_in_place(ledger, directory, new, ledger) if isinstance(new, Version) else ""
    await _show_as_dataset(directory, new)
    return new.rows, kept


def _newest(directory: Path, source: ResultRows, former: Version | None = None) -> Version | InPlace:
    """The version in place if it is the newest one, or else a new one. Runs in a thread."""
    return in_place(directory, source) or made(directory, source, former)


async def _show_as_dataset(directory: Path, version: Version | InPlace) -> None:
    """Also if the files need not be written: an earlier process may not have come so far."""
    await asyncio.to_thread(show_as_dataset, directory, version.columns, version.metadata)


async def put_in_place(ledger: Ledger, directory: Path, new: Version, known_by: LedgerReader) -> str:
    """Replace the old files with new ones, after backing up an old one if somebody else has edited it.

    The ledger holds the hashes of the versions it wrote. The new hashes are recorded before the renames, so
    that a crash leaves nothing that looks edited. An identical file is not replaced. Returns a notice for
    the user, or an empty text.

    Raises:
        StorageError: a file can't be written; the old one is still there.
    """
    try:
        hashes, changed = {}, []
        for file in new.files:
            there = await asyncio.to_thread(hash_in_place, directory / file.name)
            known = await known_by.results_written(file.name)
            is_ours = not there or known is None or there in known or there == file.sha256
            hashes[file.name] = [file.sha256, there] if there and is_ours else [file.sha256]
            if there != file.sha256:
                changed.append((file, not is_ours))
        with suppress(StorageError):  # write the files even if the ledger can't be written
            await ledger.note_results(hashes, new.form, new.shows)
        kept = [
            f"{file.name} was edited, or written by another ledger; the old file is kept as {copy.name}"
            for file, keep in changed
            if (copy := await asyncio.to_thread(_replaced, directory / file.name, file.part, keep))
        ]
        return "; ".join(kept)
    finally:
        for file in new.files:
            file.part.unlink(missing_ok=True)


def _replaced(path: Path, part: Path, keep: bool) -> Path | None:
    """Rename `part` to `path`, with `keep` after copying the old file; return the path of the copy."""
    try:
        kept = keep_copy(path) if keep else None
        part.replace(path)
    except OSError as error:
        raise refused(path, error) from error
    return kept
