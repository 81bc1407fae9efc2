"""Collects a finished generation: fetch its video from one source after the other, then the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from batchrunner.clock import Clock
from batchrunner.core.file_status import FileState
from batchrunner.core.links import LINKS_LIVE, Dead, VideoSource, is_dead
from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import Receipt
from batchrunner.core.policy import (
    AttemptFacts,
    Move,
    after_another_copy,
    after_name_taken,
    after_no_video,
    after_video,
)
from batchrunner.core.states import TaskState
from batchrunner.engine.fetcher import Fetcher, Fetches, FetchRequest, KeptPicture, PictureRequest
from batchrunner.engine.semaphore import AdjustableSemaphore
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.media import VideoFacts
from batchrunner.storage.video_store import Identity, Kept, Taken, VideoStore

TRIES = (0.0, 0.0, 15.0, 30.0, 60.0, 120.0)
"""Nominal seconds before each try; tries alternate between the gateway and the model's own link."""

FRAME_TRIES = (0.0, 15.0, 60.0)
"""The same for the picture of the last frame."""

Expected = Callable[[TaskRecord, VideoFacts], tuple[str, ...]]
"""Returns messages about how a video differs from its request."""
Collected = Callable[[TaskRecord, AttemptFacts], Awaitable[None]]
"""Called with each verified video: its task, and the facts of its file."""
Largest = Callable[[TaskRecord], int]
"""Returns the maximum bytes of a task's file, far above the size of any video for its request."""


class Collector:
    """Downloads and verifies videos, at most `limit` at once, first come, first served."""

    def __init__(
        self,
        ledger: Ledger,
        gateway: Gateway,
        clock: Clock,
        videos: VideoStore,
        limit: int,
        differs: Expected,
        largest: Largest,
        asks_dead_links: bool = False,
        collected: Collected | None = None,
        cluster: Fetches | None = None,
        gateways: Mapping[str, Gateway] | None = None,
    ) -> None:
        """With a cluster, links come first: they need no key, so that its workers can fetch them.

        `gateways` is as for `Fetcher`.
        """
        self._ledger, self._clock = ledger, clock
        self._videos, self._differs, self._largest = videos, differs, largest
        self._fetcher: Fetches = cluster or Fetcher(gateway, videos, gateways)
        self._order = (VideoSource.CONTENT, VideoSource.LINK)
        if cluster:
            self._order = self._order[::-1]
        self._asks_dead_links, self._after = asks_dead_links, collected
        self._turn = AdjustableSemaphore(limit)

    def allow(self, downloads: int) -> None:
        """Change the number of concurrent downloads; those in progress continue."""
        self._turn.allow(downloads)

    async def collect(self, key: TaskKey, links_only: bool = False) -> None:
        """Collect one video, or leave the task uncollected after the last try; never submits anything.

        A video that was collected before, and whose file is gone, stays done after the last try. With
        `links_only`, only the model's own link is used, not the gateway.

        Raises:
            StorageError: the file can't be written; the task stays collecting.
        """
        record = await self._ledger.task(key)
        move = await self._found(record) or await self._download(record, links_only)
        if move.to is TaskState.DONE and record.last_frame_url:
            name, warnings = await self._last_frame(record)
            facts = replace(move.facts, last_frame_file=name)
            move = replace(move, facts=facts, warnings=move.warnings + warnings)
        if record.collected_at is not None:
            move = after_another_copy(move)
        await self._ledger.move(key, move)
        if self._after and move.to is TaskState.DONE and move.facts.collected_at is not None:
            await self._after(record, move.facts)

    async def _found(self, record: TaskRecord) -> Move | None:
        """Record the video that a run killed between keeping and recording it left in place."""
        async with self._turn:
            found = await self._videos.find(_identity(record))
        return None if found is None else self._fetched(record, found)

    async def _download(self, record: TaskRecord, links_only: bool) -> Move:
        last, dead = Receipt(code="no_link", message="the gateway returned no link"), Dead.of(record)
        age = 0.0 if record.finished_at is None else self._clock.since(record.finished_at)
        left = self._sources(record, dead, links_only)
        wanted = FetchRequest(
            _identity(record), record.result_url or "", self._largest(record), record.account or ""
        )
        note_hash = partial(self._ledger.note_file, record.key)
        # Past their lifetime, links may be dead without a clear answer: one try each, without waiting.
        for number, wait in enumerate(TRIES if age <= LINKS_LIVE else TRIES[: len(VideoSource)]):
            source = self._order[number % 2]
            if source not in left:
                continue
            await self._clock.sleep(wait)
            async with self._turn:
                fetched = await self._fetcher.fetch(wanted, source, note_hash)
            if not isinstance(fetched, Receipt):
                return self._fetched(record, fetched)
            last = fetched
            if is_dead(source, last, age):
                left.discard(source)
                dead = dead.noted(source, self._clock.wall())
        return after_no_video(record.remote_id or "", bool(record.result_url), last, dead)

    def _sources(self, record: TaskRecord, dead: Dead, links_only: bool) -> set[VideoSource]:
        """The sources to try for a video."""
        given = {
            VideoSource.CONTENT: record.remote_id and not links_only,
            VideoSource.LINK: record.result_url,
        }
        known = frozenset[VideoSource]() if self._asks_dead_links else dead.sources
        return {source for source, is_given in given.items() if is_given and source not in known}

    async def _last_frame(self, record: TaskRecord) -> tuple[str | None, tuple[str, ...]]:
        """Save the last frame next to the video; it is optional, so a failure is only a warning."""
        wanted = PictureRequest(
            record.last_frame_url or "", f"{record.file_name.removesuffix('.mp4')}-last-frame"
        )
        last = ""
        for wait in FRAME_TRIES:
            await self._clock.sleep(wait)
            async with self._turn:
                found = await self._fetcher.fetch_picture(wanted)
            if isinstance(found, KeptPicture):
                return found.name, ()
            if isinstance(found, Taken):
                return None, (f"the last frame was not saved: {found.why}",)
            last = found.message or f"HTTP {found.status}"
        return None, (f"the last frame could not be downloaded: {last}",)

    def _fetched(self, record: TaskRecord, found: Kept | Taken) -> Move:
        if isinstance(found, Taken):
            return after_name_taken(record.file_name, found.why)
        collected = AttemptFacts(
            collected_at=self._clock.wall(),
            size=found.size,
            sha256=found.sha256,
            duration=found.facts.duration,
            width=found.facts.width,
            height=found.facts.height,
            fps=found.facts.fps,
            file_state=FileState.IN_PLACE,
            file_seen=found.seen,
        )
        return after_video(collected, self._differs(record, found.facts))


def _identity(record: TaskRecord) -> Identity:
    return Identity(record.file_name, record.key, record.remote_id, record.sha256)
