"""The folder of a dataset: it only grows, and an export that was killed goes on where it was.

A hidden journal says what is in the set. Files get their final names only after they are in the journal,
and are never written again, so whatever has a final name is whole, and whatever has not is made anew. Files
about the set as a whole, such as its card, are replaced.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Self

from batchrunner.core.errors import BusyError, StorageError, UsageError
from batchrunner.output.export.presence import NEW, PresenceCheck
from batchrunner.output.export.rows import compact
from batchrunner.output.results_backup import keep_copy
from batchrunner.storage.files import seen_as, sync_directory

JOURNAL = ".batchrunner-export.jsonl"
VERSION = 1
_PART = ".part"


@dataclass(frozen=True, slots=True)
class SetFile:
    """A file of the set with videos, or with rows about them."""

    name: str
    """Relative to the set's folder."""
    split: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SetRow:
    """A row of the set."""

    split: str
    file: str
    """The file that contains it."""
    values: Mapping[str, Any]
    labels: Mapping[str, str]


class SetFolder:
    """A set's folder, locked while it is open."""

    def __init__(self, path: Path, options: Mapping[str, object]) -> None:
        """`options` are those that must be the same each time, as the user writes them."""
        self.path = path
        self.hashes: dict[str, str] = {}
        """The hash of each video in the set, by fingerprint."""
        self.notices: list[str] = []
        """What the user should know about the files that were written."""
        self._options = dict(options)
        self._wrote: dict[str, list[str]] = {}
        """The hashes of the files about the set, as written last and before: a kill may have left either."""
        self._journal: BinaryIO

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Lock the folder, created if it is missing, and finish what a killed export has left.

        While it is open, errors of the disk are turned into ours.

        Raises:
            UsageError: it contains something else, or a set with other options.
            BusyError: another export is writing to it.
            StorageError: the disk returned an error.
        """
        with _disk_errors(self.path):
            if self.path.exists() and not self.path.is_dir():
                raise UsageError(f"{self.path} is a file", f"{NEW} with -o DIR")
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._lock(lock)
                self._create()
                with (self.path / JOURNAL).open("r+b") as self._journal:
                    self._read()
                    yield self
            finally:
                os.close(lock)

    def part(self, name: str) -> Path:
        """The temporary name of a new file of the set; its folder is created."""
        final = self.path / name
        final.parent.mkdir(exist_ok=True)
        return final.with_name(f".{final.name}{_PART}")

    def remove_parts(self) -> None:
        """Remove what killed exports, or machines that were lost, have left under temporary names."""
        for part in (*self.path.glob(f".*{_PART}"), *self.path.glob(f"*/.*{_PART}")):
            part.unlink(missing_ok=True)

    def commit(self, files: Sequence[SetFile], rows: Sequence[SetRow]) -> None:
        """Add new files, complete under their temporary names, to the set, durably.

        Raises:
            UsageError: a name is taken by a file that is not part of the set.
        """
        if not files:
            return
        for file in files:
            if os.path.lexists(self.path / file.name):
                raise UsageError(f"{self.path / file.name} is not part of the set", f"move it away, or {NEW}")
        for folder in {(self.path / file.name).parent for file in files}:
            sync_directory(folder)
        seen = {file.name: seen_as(self.part(file.name).stat()) for file in files}
        self._append({"files": list(map(asdict, files)), "seen": seen, "rows": list(map(asdict, rows))})
        self._note(rows)
        self._put_in_place([file.name for file in files])

    def files(self) -> Iterator[SetFile]:
        """All files of the set, in the order in which they were added."""
        return (SetFile(**file) for line in self._lines() for file in line.get("files", ()))

    def rows(self) -> Iterator[SetRow]:
        """All rows of the set, in the order in which they were added."""
        return (SetRow(**row) for line in self._lines() for row in line.get("rows", ()))

    @contextmanager
    def replacing(self, name: str, backup: bool = True) -> Iterator[TextIOWrapper]:
        """Write a file about the set; it replaces the former one atomically, unless nothing has changed.

        With `backup`, the former one is kept if somebody else has edited it.
        """
        final, part = self.path / name, self.part(name)
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new, there = _hash(part), _hash(final)
        if new == there:
            part.unlink()
            return
        if backup and there and there not in self._wrote.get(name, ()):
            self.notices.append(f"{name} was edited; the old file is kept as {keep_copy(final).name}")
        self._append({"wrote": {name: [new, there]}})
        part.replace(final)
        sync_directory(final.parent)

    def _lock(self, fd: int) -> None:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"another export is writing to {self.path}", "wait for it to finish") from error

    def _create(self) -> None:
        """Write the journal's first line, unless there is one."""
        journal, part = self.path / JOURNAL, self.path / f"{JOURNAL}{_PART}"
        if journal.exists():
            return
        if others := sorted(path.name for path in self.path.iterdir() if path != part):
            raise UsageError(f"{self.path} contains something else: {others[0]}", f"{NEW} with -o DIR")
        with part.open("wb") as file:
            file.write(_line({"version": VERSION, "options": self._options}))
            file.flush()
            os.fsync(file.fileno())
        part.rename(journal)
        sync_directory(self.path)
        sync_directory(self.path.absolute().parent)

    def _read(self) -> None:
        """Check the options, read what is in the set, and finish the last commit."""
        lines = self._lines()
        self._check_options(next(lines, {}))
        check, seen_later = PresenceCheck(self.path, _hash), dict[str, str]()
        newest: tuple[list[SetFile], dict[str, str]] = [], {}
        for line in lines:
            self._wrote |= line.get("wrote", {})
            self._note([SetRow(**row) for row in line.get("rows", ())])
            if "files" in line:
                check.look(*newest)
                newest = [SetFile(**file) for file in line["files"]], line.get("seen", {})
            else:
                seen_later |= line.get("seen", {})
        self._put_in_place([file.name for file in newest[0] if self.part(file.name).exists()])
        check.look(*newest)
        if seen := check.settle(seen_later):
            self._append({"seen": seen})
        self.remove_parts()

    def _check_options(self, first: Mapping[str, Any]) -> None:
        if first.get("version") != VERSION:
            raise UsageError(f"{self.path / JOURNAL} is damaged, or of another version", NEW)
        before = first["options"]
        for name in dict.fromkeys([*self._options, *before]):
            if (then := before.get(name)) != (now := self._options.get(name)):
                raise UsageError(
                    f"{self.path} was exported {_option(name, then)}, and this is {_option(name, now)}",
                    f"repeat the options of the first export, or {NEW}",
                )

    def _note(self, rows: Sequence[SetRow]) -> None:
        self.hashes |= {row.values["fingerprint"]: row.values["sha256"] for row in rows}

    def _put_in_place(self, names: Sequence[str]) -> None:
        for name in names:
            self.part(name).rename(self.path / name)
        for folder in {(self.path / name).parent for name in names}:
            sync_directory(folder)
        sync_directory(self.path)

    def _append(self, line: Mapping[str, object]) -> None:
        self._journal.seek(0, os.SEEK_END)
        self._journal.write(_line(line))
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _lines(self) -> Iterator[dict[str, Any]]:
        """The journal; half a line at its end, from a killed export, is removed."""
        with (self.path / JOURNAL).open("rb") as file:
            whole = 0
            for line in file:
                if not line.endswith(b"\n"):
                    self._journal.truncate(whole)
                    return
                whole += len(line)
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise UsageError(f"{self.path / JOURNAL} is damaged", NEW) from error


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into a StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"can't write to {path}: {error.strerror or error}",
            "free disk space or fix the disk, then run the same command again; it goes on where it was",
        ) from error


def write_all(fd: int, data: memoryview) -> None:
    """Write all of the data."""
    while data:
        data = data[os.write(fd, data) :]


def _line(value: object) -> bytes:
    return f"{compact(value)}\n".encode()


def _option(name: str, value: object) -> str:
    if value in (None, "", False, []):
        return f"without {name}"
    values = value if isinstance(value, list) else [value]
    return "with " + (name if value is True else " ".join(f"{name} {one}" for one in values))


def _hash(path: Path) -> str:
    """The hash of a file; empty if there is none."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""
