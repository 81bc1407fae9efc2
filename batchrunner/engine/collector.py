"""Collects a finished generation: download to a part file, verify, fsync, rename, record in the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.file_status import FileState
from batchrunner.core.links import LINKS_LIVE, Dead, VideoSource, is_dead
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.outcome import Fetched, FetchOutcome, Receipt
from batchrunner.core.policy import (
    AttemptFacts,
    Move,
    after_another_copy,
    after_name_taken,
    after_no_video,
    after_video,
)
from batchrunner.core.states import TaskState
from batchrunner.engine.semaphore import AdjustableSemaphore
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.media import NotPlayable, NotWhole, VideoFacts, check_boxes, picture_ending, probe
from batchrunner.storage.files import PartFile, keep_small, seen_as, sync_directory

TRIES = (0.0, 0.0, 15.0, 30.0, 60.0, 120.0)
"""Nominal seconds before each try; tries alternate between the gateway (first) and the model's own link."""

FRAME_TRIES = (0.0, 15.0, 60.0)
"""The same for the picture of the last frame."""
MAX_FRAME = 64 << 20
"""Maximum size of that picture, in bytes."""

_PROBERS = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="probe")
"""Decoding is work for a core, and a thread that has decoded keeps some memory: so there are few of them."""

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
        directory: Path,
        limit: int,
        differs: Expected,
        largest: Largest,
        asks_dead_links: bool = False,
        collected: Collected | None = None,
    ) -> None:
        self._ledger, self._gateway, self._clock = ledger, gateway, clock
        self._directory, self._differs, self._largest = directory, differs, largest
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
        """Verify and keep the file that a run killed between rename and commit left in place.

        It is ours if it has the hash that was recorded before the rename; any other file is left alone.
        """
        final = self._directory / record.file_name
        if not os.path.lexists(final):
            return None
        async with self._turn:
            try:
                if not final.is_file():
                    raise NotWhole("it is not a file")
                facts, sha256 = await asyncio.to_thread(_inspect, final)
                if record.sha256 is None:
                    return None  # origin unknown: the download shows whether it is the same video
                if sha256 != record.sha256:
                    raise NotWhole("it is not the video that was downloaded")
            except (NotWhole, NotPlayable, OSError) as error:
                return after_name_taken(record.file_name, str(error))
        return self._collected(record, facts, sha256, final.stat())

    async def _download(self, record: TaskRecord, links_only: bool) -> Move:
        last, dead = Receipt(code="no_link", message="the gateway returned no link"), Dead.of(record)
        age = 0.0 if record.finished_at is None else self._clock.since(record.finished_at)
        left = self._sources(record, dead, links_only)
        # Past their lifetime, links may be dead without a clear answer: one try each, without waiting.
        for number, wait in enumerate(TRIES if age <= LINKS_LIVE else TRIES[: len(VideoSource)]):
            source = VideoSource.LINK if number % 2 else VideoSource.CONTENT
            if source not in left:
                continue
            await self._clock.sleep(wait)
            async with self._turn:
                part = PartFile(self._directory / record.file_name)
                try:
                    outcome = await self._fetch(record, part, source)
                    if isinstance(outcome, Fetched):
                        facts, sha256 = await asyncio.to_thread(part.verified, _playable, outcome.rest)
                        await self._ledger.note_file(record.key, sha256)
                        found = await asyncio.to_thread(part.put_in_place)
                        return self._collected(record, facts, sha256, found)
                    last = outcome.receipt
                    if is_dead(source, last, age):
                        left.discard(source)
                        dead = dead.noted(source, self._clock.wall())
                except FileExistsError:
                    return await asyncio.to_thread(self._taken, record, facts, sha256)
                except (NotWhole, NotPlayable) as error:
                    last = Receipt(code="not_a_video", message=str(error))
                finally:
                    part.discard()
        return after_no_video(record.remote_id or "", bool(record.result_url), last, dead)

    def _sources(self, record: TaskRecord, dead: Dead, links_only: bool) -> set[VideoSource]:
        """The sources to try for a video."""
        given = {
            VideoSource.CONTENT: record.remote_id and not links_only,
            VideoSource.LINK: record.result_url,
        }
        known = frozenset[VideoSource]() if self._asks_dead_links else dead.sources
        return {source for source, is_given in given.items() if is_given and source not in known}

    def _taken(self, record: TaskRecord, facts: VideoFacts, sha256: str) -> Move:
        """The file name is taken, by the same video (unknown to an outdated ledger) or by another file."""
        final = self._directory / record.file_name
        with suppress(OSError), final.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return self._collected(record, facts, sha256, final.stat())
        return after_name_taken(record.file_name, "it is not the video that was downloaded")

    async def _last_frame(self, record: TaskRecord) -> tuple[str | None, tuple[str, ...]]:
        """Save the last frame next to the video; it is optional, so a failure is only a warning."""
        last = ""
        for wait in FRAME_TRIES:
            await self._clock.sleep(wait)
            data = bytearray()
            async with self._turn:
                outcome = await self._gateway.fetch_url(record.last_frame_url or "", data.extend, MAX_FRAME)
            try:
                if isinstance(outcome, Fetched):
                    data += outcome.rest
                    name = f"{record.file_name.removesuffix('.mp4')}-last-frame{picture_ending(bytes(data))}"
                    await asyncio.to_thread(keep_small, self._directory / name, bytes(data))
                    return name, ()
                last = outcome.receipt.message or f"HTTP {outcome.receipt.status}"
            except FileExistsError:
                return None, (f"the last frame was not saved: {name} already exists with another picture",)
            except NotWhole as error:
                last = str(error)
        return None, (f"the last frame could not be downloaded: {last}",)

    async def _fetch(self, record: TaskRecord, part: PartFile, source: VideoSource) -> FetchOutcome:
        largest = self._largest(record)
        if source is VideoSource.CONTENT:
            return await self._gateway.fetch_content(record.remote_id or RemoteId(""), part.write, largest)
        return await self._gateway.fetch_url(record.result_url or "", part.write, largest)

    def _collected(self, record: TaskRecord, facts: VideoFacts, sha256: str, found: os.stat_result) -> Move:
        collected = AttemptFacts(
            collected_at=self._clock.wall(),
            size=found.st_size,
            sha256=sha256,
            duration=facts.duration,
            width=facts.width,
            height=facts.height,
            fps=facts.fps,
            file_state=FileState.IN_PLACE,
            file_seen=seen_as(found),
        )
        return after_video(collected, self._differs(record, facts))


def _playable(path: Path) -> VideoFacts:
    check_boxes(path)
    return _PROBERS.submit(probe, path).result()


def _inspect(path: Path) -> tuple[VideoFacts, str]:
    facts = _playable(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with path.open("rb") as file:
        os.fsync(file.fileno())  # there may have been a crash between the rename and the folder's fsync
    sync_directory(path.parent)
    return facts, digest
