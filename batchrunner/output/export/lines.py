"""One file of rows, as CSV or JSON lines, with the paths of the videos: nothing is copied.

Paths are absolute: readers don't know the folder of the file. The file is what the ledgers say now, so a row
whose video is gone leaves it.
"""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from io import TextIOWrapper
from pathlib import Path

from batchrunner.output.export.folder import SetFolder
from batchrunner.output.export.format import SetOptions
from batchrunner.output.export.rows import COLUMNS, Clip, compact, label_columns
from batchrunner.output.export.videos import check_video

VIDEO = "video"
_WriteRow = Callable[[Mapping[str, object]], object]


class LinesWriter:
    """Writes the file anew each time."""

    def __init__(self, options: SetOptions, form: str, labels: Sequence[str]) -> None:
        """`form` is `csv` or `jsonl`; `labels` are the names of all labels."""
        self._options, self._form, self._labels = options, form, label_columns(labels)
        self._folder = SetFolder(options.path, options.recorded)
        self._write: _WriteRow
        self._rows = 0
        self.hashes: dict[str, str] = {}
        self.notices = self._folder.notices

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Lock and prepare the folder; in the end, the new file replaces the former one."""
        with self._folder.opened(), self._folder.replacing(f"videos.{self._form}") as file:
            self._write = self._csv(file) if self._form == "csv" else self._jsonl(file)
            yield

    async def add(self, clip: Clip) -> None:
        """Add a row.

        Raises:
            Unusable: its video is not the one that was verified.
        """
        check_video(clip.file, self._options.verify)
        own = clip.labels
        cells = {column: own.get(name, "") for name, column in self._labels.items()}
        self._write({VIDEO: str(clip.file.path)} | clip.row() | cells)
        self._rows += 1

    async def settle(self) -> Mapping[str, tuple[Path, str]]:
        """Nothing is left to do."""
        return {}

    def finish(self) -> int:
        """The number of rows."""
        return self._rows

    def _csv(self, file: TextIOWrapper) -> _WriteRow:
        names = [VIDEO, *(column.name for column in COLUMNS), *self._labels.values()]
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        return writer.writerow

    def _jsonl(self, file: TextIOWrapper) -> _WriteRow:
        return lambda row: file.write(f"{compact(row)}\n")
