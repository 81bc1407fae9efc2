"""Files matching a pattern: each fills an entry once, with its path and names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

from batchrunner.core.file_names import LEDGER_NAME, VIDEOS
from batchrunner.core.object_url import is_object_url
from batchrunner.core.problems import Place
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.order import natural_key
from batchrunner.manifest.templates import Names

NAMES = ("file", "base", "stem", "name", "folder")
"""The names a file provides: path with and without extension, name without and with it, and folder."""
ANY_FOLDERS = "**"
WILD = frozenset("*?[")


class PatternFault(Exception):
    """A pattern can't be used."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class FilesFound:
    """The files that the patterns of one entry match; a table, see `multiples.Table`."""

    one = "file"
    needed = ""
    columns = dict.fromkeys(NAMES)
    names = Names(NAMES, "is not a name that `files` provides")

    def __init__(self, beside: PurePath) -> None:
        """`beside` is the manifest's folder as shown in messages."""
        self._beside = beside
        self._taken: set[str] = set()
        self.rows: list[TableRow] = []

    def add(self, files: Iterable[str]) -> None:
        """Add files that are not in the list yet."""
        for file in files:
            if file not in self._taken:
                self._taken.add(file)
                path = PurePath(file)
                base = file.removesuffix(path.suffix)
                names = {"stem": path.stem, "name": path.name, "folder": path.parent.name}
                cells = {"file": file, "base": base, **names}
                self.rows.append(TableRow(len(self.rows) + 1, 0, cells))

    def has(self, name: str) -> bool:
        """Whether it is one of the names."""
        return name in NAMES

    def place(self, row: TableRow) -> Place:
        """The file itself, as it is what must be fixed."""
        source = self.source(row)
        return Place(source if is_object_url(source) else str(self._beside / source))

    def source(self, row: TableRow) -> str:
        """Its path relative to the manifest."""
        return str(row.cells["file"])

    def behind(self, columns: tuple[str, ...], empty: bool) -> str:
        """Nothing: the place already names the file."""
        return ""


def find_files(folder: Path, pattern: str) -> list[str]:
    """The matching files in natural order, relative to `folder`, or absolute for an absolute pattern.

    `*`, `?` and `[…]` match within one name, case-sensitively, and `**` matches any subfolders. They don't
    match hidden files or the videos of a run: the output of one run must not become tasks of the next.
    `**` does not follow symlinks to folders, which could form a cycle.

    Raises:
        PatternFault: the pattern leaves the folder, is a folder, or matches a name that is not valid text.
    """
    path = PurePath(pattern)
    if not path.is_absolute() and PurePath(os.path.normpath(pattern)).parts[:1] == ("..",):
        hint = "move the files beside the manifest, or use the absolute path"
        raise PatternFault(f"{pattern} is outside the manifest's folder", hint)
    if WILD.isdisjoint(pattern) and "\0" not in pattern and (folder / path).is_dir():
        raise PatternFault(f"{pattern} is a folder", f"use {path.as_posix()}/* for the files in it")
    parts = (*path.parts, "*") if path.name == ANY_FOLDERS else path.parts
    try:
        matches = dict.fromkeys(_matches(folder, PurePath(), parts, set()))
        names = (str(match) for match in matches if not (folder / match).is_dir())
        found = sorted(names, key=natural_key)
    except OSError as error:
        raise PatternFault(
            f"{error.filename} can't be read: {error.strerror}", "check its permissions"
        ) from error
    except ValueError as error:
        raise PatternFault(
            f"{pattern!r} is not a valid pattern", "use a pattern such as photos/*.jpg"
        ) from error
    check_names(found)
    return [PurePath(name).as_posix() for name in found]


def check_names(names: Iterable[str]) -> None:
    """Check that names can be shown and stored.

    Raises:
        PatternFault: one can't.
    """
    for name in names:
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
            raise PatternFault(f"the name of the file {name!r} is not valid text", "rename it")


def matches(name: str, part: str) -> bool:
    """Whether one name in a path matches one part of a pattern; a hidden file must be asked for."""
    is_hidden = name.startswith(".") and not part.startswith(".")
    return not is_hidden and fnmatchcase(name, part)


def _matches(
    folder: Path, start: PurePath, parts: tuple[str, ...], been: set[tuple[PurePath, int]]
) -> Iterator[PurePath]:
    """The matches of a pattern from `start`, which is relative to `folder`.

    `been` holds the starting points already visited, which several `**` would visit repeatedly.
    """
    if (start, len(parts)) in been:
        return
    been.add((start, len(parts)))
    if not parts:
        yield start
        return
    part, rest = parts[0], parts[1:]
    if part == ANY_FOLDERS:
        yield from _matches(folder, start, rest, been)
        for entry in _entries(folder / start):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _matches(folder, start / entry.name, parts, been)
    elif WILD.isdisjoint(part):
        if os.path.lexists(folder / start / part):
            yield from _matches(folder, start / part, rest, been)
    else:
        for entry in _entries(folder / start):
            if matches(entry.name, part):
                yield from _matches(folder, start / entry.name, rest, been)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """A folder's content without the videos of a run; empty if it is not a folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        entries = list(found)
    is_run = any(entry.name == LEDGER_NAME for entry in entries)
    return [entry for entry in entries if not (is_run and entry.name == VIDEOS)]
