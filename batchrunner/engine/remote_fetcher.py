"""Has videos fetched by a cluster, through a child process; whatever that can't do is done here.

The child is only help: it has no key, records nothing and submits nothing. What it was asked for and
didn't do is fetched here.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

from batchrunner.core.file_names import VIDEOS
from batchrunner.core.links import VideoSource
from batchrunner.core.outcome import Receipt
from batchrunner.core.text import count
from batchrunner.engine.cluster_child import CHILD, PATIENCE, STARTS, ClusterChild
from batchrunner.engine.fetch_messages import ClusterSetup, FetchAnswer, LeftPart, read_answer
from batchrunner.engine.fetcher import Fetcher, FetchRequest, KeptPicture, PictureRequest
from batchrunner.storage.files import PartFile, remove_part_files
from batchrunner.storage.video_store import Kept, Taken, VideoStore

_PART_NAME = re.compile(r"\.[^/\0]+\.[0-9a-f]{8}\.part")


class RemoteFetcher:
    """Fetches links on a cluster, everything else here; used like `Fetcher`."""

    def __init__(
        self,
        here: Fetcher,
        videos: VideoStore,
        setup: ClusterSetup,
        notice: Callable[[str], None],
        command: Sequence[str] = CHILD,
        starts: Sequence[float] = STARTS,
        patience: float = PATIENCE,
    ) -> None:
        self._here, self._videos, self._notice = here, videos, notice
        self._directory = Path(setup.directory)
        self._child = ClusterChild[FetchAnswer](
            self._directory / VIDEOS,
            lambda probe: replace(setup, probe=probe).line(),
            read_answer,
            notice,
            command,
            starts,
            patience,
        )
        self._tried = self._fetched = 0

    @asynccontextmanager
    async def working(self) -> AsyncIterator[RemoteFetcher]:
        """Keep a child running as long as the context."""
        try:
            async with self._child.running():
                yield self
        finally:
            if self._tried:
                tried = count(self._tried, "try", "tries")
                self._notice(f"{count(self._fetched, 'video')} downloaded on the cluster in {tried}")
            # What workers left and nobody wanted any more; downloads in progress are locked.
            remove_part_files(self._directory / VIDEOS)

    async def fetch(
        self, wanted: FetchRequest, source: VideoSource, note_hash: Callable[[str], Awaitable[None]]
    ) -> Kept | Taken | Receipt:
        """Fetch a video, as `Fetcher.fetch` does.

        Raises:
            StorageError: the video can't be kept.
        """
        # The cluster can't note the hash before it stores an object. An earlier note would then be wrong if
        # the link had other bytes now, so what has one is fetched here.
        if source is VideoSource.LINK and wanted.identity.sha256 is None:
            self._tried += self._child.is_running
            answer = await self._child.ask(asdict(wanted), "the cluster can't fetch a video")
            if isinstance(answer, LeftPart):
                kept = await self._take(answer, wanted, note_hash)
                if kept is not None:
                    self._fetched += 1
                    return kept
            elif isinstance(answer, Kept | Taken):
                self._fetched += 1
                return answer
            elif isinstance(answer, Receipt) and answer.status:
                return answer  # without a status, the link's host didn't answer there: it may answer here
        return await self._here.fetch(wanted, source, note_hash)

    async def fetch_picture(self, wanted: PictureRequest) -> KeptPicture | Taken | Receipt:
        """Fetch a picture, as `Fetcher.fetch_picture` does."""
        answer = await self._child.ask(asdict(wanted), "the cluster can't fetch a picture")
        if isinstance(answer, KeptPicture) and answer.name.rpartition(".")[0] == wanted.stem:
            return answer
        if isinstance(answer, Taken) or (isinstance(answer, Receipt) and answer.status):
            return answer
        return await self._here.fetch_picture(wanted)

    async def _take(
        self, left: LeftPart, wanted: FetchRequest, note_hash: Callable[[str], Awaitable[None]]
    ) -> Kept | Taken | None:
        """Put the part file that a worker left in place; None if it isn't there as it was described."""
        final = self._directory / wanted.identity.name
        if not _PART_NAME.fullmatch(left.part) or not left.part.startswith(f".{final.stem}."):
            return None
        try:
            part = PartFile.left_by_worker(final, final.with_name(left.part), left.size)
        except OSError:
            return None
        try:
            await note_hash(left.sha256)
            return await self._videos.keep(part, wanted.identity, left.facts, left.sha256)
        finally:
            part.discard()
