"""A folder of videos with their metadata beside them, as `datasets.load_dataset("videofolder")` reads it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from batchrunner.core.file_names import METADATA_NAME
from batchrunner.output.export.card import Card, write_card
from batchrunner.output.export.folder import SetFile, SetFolder, SetRow, write_all
from batchrunner.output.export.format import SetOptions
from batchrunner.output.export.localising import Localise
from batchrunner.output.export.metadata import feature_lines, metadata_columns, metadata_line
from batchrunner.output.export.rows import Clip
from batchrunner.output.export.videos import Copier, VideoFile, link_video
from batchrunner.storage.files import begin_write_out

MOST_WAITING = 64
"""How many videos are put in place together."""


class HfWriter:
    """Writes one folder for each split: videos, and metadata.jsonl beside them."""

    def __init__(self, options: SetOptions, link: bool, localise: Localise) -> None:
        self._options, self._link, self._localise = options, link, localise
        self._folder = SetFolder(options.path, options.recorded)
        self._copier = Copier()
        self._files: list[SetFile] = []
        self._rows: list[SetRow] = []
        self._copied = 0
        self.hashes = self._folder.hashes

    @property
    def notices(self) -> list[str]:
        """What the user should know about the files that were written."""
        copied = f"{self._copied:,} could not be linked, and were copied: OUT is on another file system"
        return [*self._folder.notices, *([copied] if self._copied else [])]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Lock and prepare the folder."""
        with self._folder.opened():
            yield

    async def add(self, clip: Clip) -> None:
        """Link or copy a video.

        Raises:
            Unusable: it is not the video that was verified.
        """
        split = self._options.split_of(clip)
        name = f"{split}/{clip.name}.mp4"
        async with self._localise(clip.file) as file:
            self._place(file, name)
        self._files.append(SetFile(name, split, 1, clip.file.size, clip.file.sha256))
        self._rows.append(SetRow(split, name, clip.row(), clip.labels))
        if len(self._files) >= MOST_WAITING:
            self._commit()

    async def settle(self) -> Mapping[str, tuple[Path, str]]:
        """Put the last videos in place; what is added is known to be usable."""
        self._commit()
        return {}

    def finish(self) -> int:
        """Write metadata and card; return the number of videos."""
        labels = metadata_columns(dict.fromkeys(name for row in self._folder.rows() for name in row.labels))
        card = Card(self._options.path.name)
        splits = dict.fromkeys(row.split for row in self._folder.rows())
        for split in splits:
            with self._folder.replacing(f"{split}/{METADATA_NAME}") as file:
                for row in self._folder.rows():
                    if row.split == split:
                        card.count(row)
                        name = Path(row.file).name
                        file.write(metadata_line(name, row.values, row.labels, labels))
        patterns = {split: f"{split}/*" for split in splits}
        write_card(self._folder, card, patterns, "\n".join(feature_lines(labels.values())))
        return card.videos

    def _place(self, video: VideoFile, name: str) -> None:
        part = self._folder.part(name)
        if self._link:
            try:
                link_video(video, part, self._options.verify)
                return
            except OSError:
                self._copied += 1
        try:
            with part.open("xb", buffering=0) as file:
                self._copier.copy(video, lambda data: write_all(file.fileno(), data))
                begin_write_out(file.fileno())  # the commit waits for it
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def _commit(self) -> None:
        for part in (self._folder.part(file.name) for file in self._files):
            with part.open("rb") as written:
                os.fsync(written.fileno())
        self._folder.commit(self._files, self._rows)
        self._files, self._rows = [], []
