"""Makes a new version of results.csv beside the old one; lines that have not changed are copied from it."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.ledger import ResultRow, ResultRows
from batchrunner.output.results import header, line
from batchrunner.storage.files import open_part, part_of
from batchrunner.version import __version__

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Excel needs to detect UTF-8."""
BLOCK = 1 << 20
"""Bytes copied at once."""


@dataclass(frozen=True, slots=True)
class Version:
    """A new results.csv under a temporary name, not in place yet."""

    part: Path
    sha256: str
    form: str
    """How it was made, if as during a run; empty for other rows."""
    shows: int
    """The number of the newest change in the ledger that it shows."""
    size: int
    """Bytes."""
    lengths: array[int]
    """Bytes in each line, the header first."""
    is_plan: bool
    """Whether the row of each task is at its position in the plan."""

    @property
    def rows(self) -> int:
        """The number of tasks."""
        return len(self.lengths) - 1


class _Edited(Exception):
    """The file in place is not the version from which lines should have been copied."""


def made(directory: Path, source: ResultRows, former: Version | None = None) -> Version:
    """Write the file durably under a temporary name.

    `former` is the version in place, if this process made it: if the ledger says that it is the newest one,
    only lines that changed since are made; all others are copied.

    Raises:
        StorageError: the disk returned an error; no partial file is left.
    """
    part = part_of(directory / RESULTS_NAME)
    try:
        try:
            with os.fdopen(open_part(part), "w+b") as file:
                lengths, is_plan = _written(file, directory / RESULTS_NAME, source, former)
                file.flush()
                os.fsync(file.fileno())
                size = file.tell()
                file.seek(0)
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except BaseException:
            with suppress(OSError):  # the next run removes it
                part.unlink()
            raise
    except OSError as error:
        raise refused(directory / RESULTS_NAME, error) from error
    return Version(part, sha256, _form(source), source.newest_change, size, lengths, is_plan)


def is_up_to_date(directory: Path, source: ResultRows) -> bool:
    """Whether the file in place is what `made` would make now.

    Raises:
        StorageError: the file can't be read.
    """
    same = source.newest_change == 0 and source.written_form == _form(source) and source.written
    return bool(same) and hash_in_place(directory) == source.written


def _form(source: ResultRows) -> str:
    """How a version is made from these rows; empty for other rows than a run's."""
    return f"{__version__}{'+excel' if source.for_excel else ''}" if source.planned_only else ""


def hash_in_place(directory: Path) -> str:
    """The hash of the existing results.csv; empty if it is missing or empty.

    Raises:
        StorageError: the file can't be read.
    """
    path = directory / RESULTS_NAME
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if path.stat().st_size else ""
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise refused(path, error) from error


def refused(path: Path, error: OSError) -> StorageError:
    """The error for a file that can't be written."""
    return StorageError(
        f"can't write {path}: {error.strerror}",
        "free disk space or fix the disk; `batchrunner results DIR` rewrites it from the ledger",
    )


def _written(
    file: BinaryIO, in_place: Path, source: ResultRows, former: Version | None
) -> tuple[array[int], bool]:
    """Write all lines; return their lengths in bytes, and whether they are the plan's."""
    labels = source.labels()
    if former and former.is_plan and former.sha256 == source.written and not source.all_changed:
        with suppress(_Edited, FileNotFoundError), in_place.open("rb") as old:
            return _patched(file, old, former, source.changed(), labels), True
        file.seek(0)
        file.truncate()
    lengths = array(
        "I", [file.write((BYTE_ORDER_MARK if source.for_excel else b"") + _encoded(header(labels)))]
    )
    is_plan = True
    for position, row in enumerate(source.all()):
        lengths.append(file.write(_encoded(line(row, labels))))
        is_plan = is_plan and row.position == position
    return lengths, is_plan


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")


def _patched(
    file: BinaryIO, old: BinaryIO, former: Version, changed: Iterator[ResultRow], labels: Sequence[str]
) -> array[int]:
    """Copy the former version, with new lines for the changed rows; return the lengths of all lines.

    Raises:
        _Edited: somebody else has changed the former version.
    """
    lengths, seen, done = former.lengths[:], hashlib.sha256(), 0
    for row in changed:
        number = 1 + (row.position or 0)
        _copy(old, file, sum(former.lengths[done:number]), seen)
        seen.update(old.read(former.lengths[number]))
        lengths[number] = file.write(_encoded(line(row, labels)))
        done = number + 1
    _copy(old, file, sum(former.lengths[done:]), seen)
    if old.read(1) or seen.hexdigest() != former.sha256:
        raise _Edited
    return lengths


def _copy(old: BinaryIO, new: BinaryIO, size: int, seen: hashlib._Hash) -> None:
    while size > 0 and (block := old.read(min(size, BLOCK))):
        seen.update(block)
        new.write(block)
        size -= len(block)
