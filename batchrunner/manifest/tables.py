"""Loads the tables that fill a manifest's entries: rows files, and files matching a pattern."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from batchrunner.core.object_url import is_object_url
from batchrunner.core.problems import Severity
from batchrunner.manifest.file_lists import FilesFound, PatternFault, find_files
from batchrunner.manifest.multiples import Table
from batchrunner.manifest.object_lists import find_objects
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats.reading import checked
from batchrunner.manifest.row_formats.table import Reading, RowsFile
from batchrunner.manifest.rows import ending_of, read_rows
from batchrunner.manifest.value_faults import ValueFault
from batchrunner.media.local_files import inside
from batchrunner.media.missing import foreign, missing
from batchrunner.media.objects import OpenObjects
from batchrunner.media.picture_files import MediaFault

_MISSING = "correct the path, or add the file"


class Tables:
    """The tables of one manifest; each rows file is read once."""

    def __init__(
        self, manifest: Path, shown: str, report: Report, objects: OpenObjects | None = None
    ) -> None:
        self._folder = manifest.parent
        self._beside = PurePath(shown).parent
        self._report, self._objects = report, objects
        self._known: dict[tuple[Path, Reading], RowsFile | None] = {}

    def rows(self, written: str, reading: Reading) -> tuple[Table | None, list[ValueFault]]:
        """A rows file, or why it can't be read; faults inside the file are reported."""
        reading, faults = checked(reading, ending_of(written))
        if faults:
            return None, faults
        message, hint = "", _MISSING
        try:
            path = inside(self._folder, self._folder.resolve(), written)
            if path is None:
                message = f"{written} is outside the manifest's folder"
                hint = "move it beside the manifest, or use its absolute path"
            elif not path.is_file():
                message, hint = missing(self._folder, written)
                if path.is_dir():
                    message, hint = f"{written} is a folder", "use a file in it"
            else:
                key = (path, reading)
                if key not in self._known:
                    shown = str(self._beside / written)
                    self._known[key] = read_rows(path, shown, written, self._report, *reading)
                return self._known[key], []
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None)
            message = f"{written!r} can't be read: {reason}" if reason else f"{written!r} is not a valid path"
        return None, [ValueFault(("rows",), f"`rows`: {message}", hint)]

    def files(self, patterns: str | list[str]) -> tuple[FilesFound | None, list[ValueFault]]:
        """The matching files; a pattern that matches nothing is a warning."""
        found = FilesFound(self._beside)
        faults = []
        without: list[tuple[tuple[Any, ...], str]] = []
        for index, pattern in enumerate([patterns] if isinstance(patterns, str) else patterns):
            path: tuple[Any, ...] = ("files",) if isinstance(patterns, str) else ("files", index)
            try:
                names = self._matching(pattern)
            except (PatternFault, MediaFault) as fault:
                faults.append(ValueFault(path, f"`files`: {fault.message}", fault.hint))
                continue
            if not (names or is_object_url(pattern)) and (found_elsewhere := foreign(pattern)):
                faults.append(ValueFault(path, f"`files`: {found_elsewhere[0]}", found_elsewhere[1]))
            elif not names:
                without.append((path, pattern))
            found.add(names)
        so = "" if found.rows or faults else ", so there is nothing to do"
        for path, pattern in without:
            message = f"`files`: nothing matches {pattern}{so}"
            hint = "the pattern is relative to the manifest and case-sensitive"
            if is_object_url(pattern):
                hint = "the pattern is case-sensitive"
            faults.append(ValueFault(path, message, hint, Severity.WARNING))
        return (None if any(fault.is_error for fault in faults) else found), faults

    def _matching(self, pattern: str) -> list[str]:
        if self._objects and is_object_url(pattern):
            return find_objects(self._objects(), pattern)
        return find_files(self._folder, pattern)
