"""Files by pattern: each fills an entry once, with its path and what it is called."""

from __future__ import annotations

import glob
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePath

from batchrunner.core.problems import Place
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.templates import Names

NAMES = ("file", "stem", "name", "folder")
"""What a file gives: its path, its name without and with the ending, and the folder that it lies in."""
_LEDGER = "ledger.sqlite"
"""A folder with such a file is the run directory of some run."""
_VIDEOS = "videos"
"""Where a run directory keeps what it has made."""


class PatternFault(Exception):
    """A pattern can't be used."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class FilesFound:
    """The files that the patterns of one entry match; a table, see `multiples.Table`."""

    one = "file"
    columns = dict.fromkeys(NAMES)
    names = Names(NAMES, "is nothing that `files` gives")

    def __init__(self, beside: PurePath) -> None:
        """`beside` is the manifest's folder as it is shown."""
        self._beside = beside
        self._taken: set[str] = set()
        self.rows: list[TableRow] = []

    def add(self, files: Iterable[str]) -> None:
        """Add files, but for those that are in already."""
        for file in files:
            if file not in self._taken:
                self._taken.add(file)
                path = PurePath(file)
                cells = {"file": file, "stem": path.stem, "name": path.name, "folder": path.parent.name}
                self.rows.append(TableRow(len(self.rows) + 1, 0, cells))

    def place(self, row: TableRow) -> Place:
        """The file itself: it is what there is to mend."""
        return Place(str(self._beside / self.source(row)))

    def source(self, row: TableRow) -> str:
        """Its path as the manifest would give it."""
        return str(row.cells["file"])

    def behind(self, columns: tuple[str, ...], empty: bool) -> str:
        """Nothing: the place names the file."""
        return ""


def find_files(folder: Path, pattern: str) -> list[str]:
    """The files that match, sorted, as paths relative to `folder`; absolute for an absolute pattern.

    Hidden files don't match a `*`, and neither does what a run has made, unless the pattern names its folder:
    what a run brings home must not become tasks of the next one.

    Raises:
        PatternFault: the pattern leaves the folder, or finds a name that is no text.
    """
    if not PurePath(pattern).is_absolute() and os.path.normpath(pattern).startswith(".."):
        hint = "move the files beside the manifest, or write the absolute path"
        raise PatternFault(f"{pattern} lies outside the manifest's folder", hint)
    # Path.glob would not say which links lead out of the folder, and shows hidden files.
    matches = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207
    made = _Made(folder, PurePath(pattern))
    paths = map(PurePath, sorted(matches))
    found = [path for path in paths if path not in made and (folder / path).is_file()]
    for path in found:
        if any(unicodedata.category(char) in ("Cc", "Cs") for char in str(path)):
            raise PatternFault(f"the name of the file {str(path)!r} is no plain text", "rename it")
    return [path.as_posix() for path in found]


class _Made:
    """What runs have made below a folder, but for what a pattern names."""

    def __init__(self, folder: Path, pattern: PurePath) -> None:
        self._folder = folder
        self._pattern = pattern
        self._known: dict[PurePath, bool] = {}

    def __contains__(self, path: PurePath) -> bool:
        return any(self._holds_videos(parent) for parent in path.parents if parent.name == _VIDEOS)

    def _holds_videos(self, folder: PurePath) -> bool:
        if folder not in self._known:
            named = self._pattern.parts[: len(folder.parts)] == folder.parts
            self._known[folder] = not named and (self._folder / folder.parent / _LEDGER).exists()
        return self._known[folder]
