"""Makes new versions of results.csv and metadata.jsonl beside the old ones, both in one pass.

Lines that have not changed are copied from the old ones.
"""

from __future__ import annotations

import hashlib
import io
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from batchrunner.core.errors import StorageError
from batchrunner.core.file_names import METADATA_NAME, RESULTS_NAME
from batchrunner.core.states import TaskState
from batchrunner.ledger import ResultRow, ResultRows
from batchrunner.output.export.metadata import metadata_columns, metadata_line
from batchrunner.output.export.rows import own_labels, values_of
from batchrunner.output.results import COLUMNS, header, line, values
from batchrunner.storage.files import open_part, part_of
from batchrunner.version import __version__

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What Excel needs to detect UTF-8."""
BLOCK = 1 << 20
"""Bytes copied at once."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A new file under a temporary name, not in place yet."""

    name: str
    part: Path
    sha256: str
    """Empty for an empty file."""
    size: int
    """Bytes."""
    lengths: array[int]
    """Bytes in the header, and in the line of each task, which may have none."""


@dataclass(frozen=True, slots=True)
class Version:
    """One state of the ledger in new files."""

    files: tuple[NewFile, ...]
    """results.csv and metadata.jsonl."""
    columns: tuple[str, ...]
    """The columns of labels in metadata.jsonl."""
    form: str
    """How they were made, if as during a run; empty for other rows."""
    shows: int
    """The number of the newest change in the ledger that they show."""
    is_plan: bool
    """Whether the row of each task is at its position in the plan."""

    @property
    def rows(self) -> int:
        """The number of tasks."""
        return len(self.files[0].lengths) - 1

    @property
    def metadata(self) -> str:
        """The hash of metadata.jsonl; empty for an empty file."""
        return self.files[-1].sha256

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(file.size for file in self.files)


class InPlace(NamedTuple):
    """The version in place, where it is the newest one; the same as of a `Version`."""

    rows: int
    columns: tuple[str, ...]
    metadata: str


class _Content(NamedTuple):
    """What a file is made from."""

    name: str
    header: bytes
    line: Callable[[ResultRow, dict[str, object]], bytes]
    """Makes a task's line from its row and values."""


class _Edited(Exception):
    """A file in place is not the version from which lines should have been copied."""


def made(directory: Path, source: ResultRows, former: Version | None = None) -> Version:
    """Write the files durably under temporary names.

    `former` is the version in place, if this process made it: if the ledger says that it is the newest one,
    only lines that changed since are made; all others are copied.

    Raises:
        StorageError: the disk returned an error; no partial file is left.
    """
    columns = metadata_columns(source.labels())
    tables = _tables(source, columns)
    parts = [part_of(directory / table.name) for table in tables]
    try:
        try:
            with ExitStack() as stack:
                files = [stack.enter_context(os.fdopen(open_part(part), "w+b")) for part in parts]
                lengths, is_plan = _written(files, directory, tables, source, former)
                new = [
                    _durable(table.name, part, file, written)
                    for table, part, file, written in zip(tables, parts, files, lengths, strict=True)
                ]
        except BaseException:
            for part in parts:
                with suppress(OSError):  # the next run removes it
                    part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise refused(directory / RESULTS_NAME, error) from error
    return Version(tuple(new), tuple(columns.values()), _form(source), source.newest_change, is_plan)


def in_place(directory: Path, source: ResultRows) -> InPlace | None:
    """The version in place, if it is what `made` would make now; that of a run alone is known for sure.

    Raises:
        StorageError: a file can't be read.
    """
    if not source.planned_only or source.newest_change or source.written_form != _form(source):
        return None
    is_whole = all(
        name in source.written and hash_in_place(directory / name) == source.written[name]
        for name in (RESULTS_NAME, METADATA_NAME)
    )
    columns = tuple(metadata_columns(source.labels()).values())
    return InPlace(source.number(), columns, source.written[METADATA_NAME]) if is_whole else None


def _form(source: ResultRows) -> str:
    """How a version is made from these rows; empty for other rows than a run's."""
    if not source.planned_only:
        return ""
    return f"{__version__}/{len(COLUMNS)}{'+excel' if source.for_excel else ''} {source.run}"


def hash_in_place(path: Path) -> str:
    """The hash of an existing file; empty if it is missing or empty.

    Raises:
        StorageError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return _hash(file, path.stat().st_size)
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


def _tables(source: ResultRows, columns: Mapping[str, str]) -> tuple[_Content, ...]:
    """What both files are made from; `columns` are the labels with their columns in metadata.jsonl."""
    labels, run = list(columns), source.run

    def results(row: ResultRow, found: dict[str, object]) -> bytes:
        return _encoded(line(row, labels, found))

    def metadata(row: ResultRow, found: dict[str, object]) -> bytes:
        if row.state != TaskState.DONE or row.file_state:  # no video, or another one
            return b""
        return _encoded(metadata_line(row.file_name, values_of(row, run, found), own_labels(row), columns))

    mark = BYTE_ORDER_MARK if source.for_excel else b""
    return (
        _Content(RESULTS_NAME, mark + _encoded(header(labels)), results),
        _Content(METADATA_NAME, b"", metadata),
    )


def _written(
    files: Sequence[BinaryIO],
    directory: Path,
    tables: Sequence[_Content],
    source: ResultRows,
    former: Version | None,
) -> tuple[list[array[int]], bool]:
    """Write all lines; return their lengths in bytes for each file, and whether they are the plan's."""
    if (
        former
        and former.is_plan
        and not source.all_changed
        and all(file.sha256 == source.written.get(file.name) for file in former.files)
    ):
        with suppress(_Edited, FileNotFoundError):
            return _patched(files, directory, tables, former, source.changed()), True
        for file in files:
            file.seek(0)
            file.truncate()
    targets = [
        (file, table.line, array("I", [file.write(table.header)]))
        for file, table in zip(files, tables, strict=True)
    ]
    is_plan = True
    for position, row in enumerate(source.all()):
        found = values(row)
        for file, made_of, lengths in targets:
            lengths.append(file.write(made_of(row, found)))
        is_plan = is_plan and row.position == position
    return [lengths for _, _, lengths in targets], is_plan


def _durable(name: str, part: Path, file: BinaryIO, lengths: array[int]) -> NewFile:
    file.flush()
    os.fsync(file.fileno())
    size = file.tell()
    file.seek(0)
    return NewFile(name, part, _hash(file, size), size, lengths)


def _hash(file: BinaryIO, size: int) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest() if size else ""  # type: ignore[arg-type]


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")


def _patched(
    files: Sequence[BinaryIO],
    directory: Path,
    tables: Sequence[_Content],
    former: Version,
    changed: Iterator[ResultRow],
) -> list[array[int]]:
    """Copy the former version, with new lines for the changed rows; return the lengths of all lines.

    Raises:
        _Edited: somebody else has changed the former version.
    """
    with ExitStack() as stack:
        patches = []
        for file, table, old in zip(files, tables, former.files, strict=True):
            # An empty file need not be there.
            source = stack.enter_context((directory / old.name).open("rb")) if old.size else io.BytesIO()
            patches.append((_Patch(file, source, old), table.line))
        for row in changed:
            found = values(row)
            for patch, made_of in patches:
                patch.change(1 + (row.position or 0), made_of(row, found))
        return [patch.finished() for patch, _ in patches]


class _Patch:
    """Copies a former file, but for the lines that have changed."""

    def __init__(self, new: BinaryIO, old: BinaryIO, former: NewFile) -> None:
        self._new, self._old, self._former = new, old, former
        self._lengths, self._seen, self._done = former.lengths[:], hashlib.sha256(), 0

    def change(self, number: int, new: bytes) -> None:
        """Write another line of this number; they must come in order."""
        self._copy(sum(self._former.lengths[self._done : number]))
        self._seen.update(self._old.read(self._former.lengths[number]))
        self._lengths[number] = self._new.write(new)
        self._done = number + 1

    def finished(self) -> array[int]:
        """Copy the rest; return the lengths of all lines.

        Raises:
            _Edited: the former file was not what it should have been.
        """
        self._copy(sum(self._former.lengths[self._done :]))
        seen = self._seen.hexdigest() if self._former.size else ""
        if self._old.read(1) or seen != self._former.sha256:
            raise _Edited
        return self._lengths

    def _copy(self, size: int) -> None:
        while size > 0 and (block := self._old.read(min(size, BLOCK))):
            self._seen.update(block)
            self._new.write(block)
            size -= len(block)
