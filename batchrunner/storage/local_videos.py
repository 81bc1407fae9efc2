"""Keeps finished videos in a folder: rename without overwriting, fsync of the folder."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from batchrunner.media import NotPlayable, NotWhole, VideoFacts
from batchrunner.media.verification import verify
from batchrunner.storage.files import PartFile, keep_small, seen_as, sync_directory
from batchrunner.storage.video_store import Identity, Kept, Taken


class LocalVideos:
    """The videos of a run directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.trouble = ""  # a disk either works, or ends the run

    def part(self, name: str) -> PartFile:
        """A part file beside the place of the video."""
        return PartFile(self._directory / name)

    async def find(self, wanted: Identity) -> Kept | Taken | None:
        """Verify the file that a run killed between rename and commit left in place.

        It is ours if it has the hash that was recorded before the rename; any other file is left alone.
        """
        final = self._directory / wanted.name
        if not os.path.lexists(final):
            return None
        try:
            if not final.is_file():
                raise NotWhole("it is not a file")
            facts, sha256 = await asyncio.to_thread(_inspect, final)
            if wanted.sha256 is None:
                return None  # origin unknown: the download shows whether it is the same video
            if sha256 != wanted.sha256:
                raise NotWhole("it is not the video that was downloaded")
        except (NotWhole, NotPlayable, OSError) as error:
            return Taken(str(error))
        return _kept(facts, sha256, final.stat())

    async def keep(self, part: PartFile, wanted: Identity, facts: VideoFacts, sha256: str) -> Kept | Taken:
        """Rename the part file."""
        try:
            found = await asyncio.to_thread(part.put_in_place)
        except FileExistsError:
            return await asyncio.to_thread(self._taken, wanted.name, facts, sha256)
        return _kept(facts, sha256, found)

    @asynccontextmanager
    async def copy(self, name: str) -> AsyncIterator[Path]:
        """The file itself."""
        yield self._directory / name

    async def link(self, name: str, sha256: str | None) -> None:
        """Nobody else can read files of this machine."""

    async def keep_picture(self, name: str, data: bytes) -> None:
        """Write it beside the video."""
        await asyncio.to_thread(keep_small, self._directory / name, data)

    def _taken(self, name: str, facts: VideoFacts, sha256: str) -> Kept | Taken:
        """The name is taken, by the same video (unknown to an outdated ledger) or by another file."""
        final = self._directory / name
        with suppress(OSError), final.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return _kept(facts, sha256, final.stat())
        return Taken("it is not the video that was downloaded")


def _kept(facts: VideoFacts, sha256: str, found: os.stat_result) -> Kept:
    return Kept(facts, sha256, found.st_size, seen_as(found))


def _inspect(path: Path) -> tuple[VideoFacts, str]:
    facts = verify(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with path.open("rb") as file:
        os.fsync(file.fileno())  # there may have been a crash between the rename and the folder's fsync
    sync_directory(path.parent)
    return facts, digest
