"""Gets what a task needs of others: pictures as data URIs, videos as links that the model can read."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.links import FRESH_ENOUGH, LINK_EXPIRED
from batchrunner.core.model import Fit, Part, TaskOutput
from batchrunner.core.outcome import QueryFailed, Succeeded
from batchrunner.core.policy import UNSENDABLE, AttemptFacts, backoff
from batchrunner.core.states import TaskState
from batchrunner.core.text import command, printable
from batchrunner.engine.queries import Queries
from batchrunner.gateway import why_unreadable
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.media import NotPlayable, NotWhole, is_same_picture, last_frame, picture_ending
from batchrunner.media.pictures import HEAD, BrokenPicture, fitted, picture_type
from batchrunner.storage.video_store import VideoStore

ASKED_AGAIN = 7
"""How often the gateway is asked again for a link, as long as its answers say nothing."""


class OutputMissing(Exception):
    """Something that a task needs of another one can't be had; `code` is for the ledger."""

    def __init__(self, message: str, code: str = UNSENDABLE) -> None:
        super().__init__(message)
        self.code = code


class TaskOutputs:
    """The pictures and videos of finished tasks, in the form in which a request has them."""

    def __init__(
        self,
        ledger: Ledger,
        directory: Path,
        videos: VideoStore,
        clock: Clock,
        gateway: str,
        most: Fit,
        queries: Mapping[str, Queries],
    ) -> None:
        """`gateway` is its address; `most` the largest picture that the model accepts.

        `queries` ask with the key of each account, by its name.
        """
        self._ledger, self._directory, self._videos, self._clock = ledger, directory, videos, clock
        self._gateway, self._most, self._queries = gateway, most, queries

    async def address(self, output: TaskOutput) -> str:
        """The data URI or the URL to send for an output.

        Raises:
            OutputMissing: it can't be had.
            StorageError: the place of the videos can't be read.
        """
        record = await self._ledger.task(output.task)
        if record.state is not TaskState.DONE:
            raise OutputMissing(f"it needs {printable(record.id)}, which is {record.state.replace('_', ' ')}")
        if output.part is Part.VIDEO:
            return await self._link(record)
        async with AsyncExitStack() as stack:
            video = await stack.enter_async_context(self._videos.copy(record.file_name))
            picture = None
            if record.last_frame_file:
                picture = await stack.enter_async_context(self._videos.copy(record.last_frame_file))
            return await asyncio.to_thread(self._picture, record, video, picture)

    async def _link(self, record: TaskRecord) -> str:
        """A link to the video where it is stored, or else to where the model has left it."""
        stored = await self._videos.link(record.file_name, record.sha256)
        if stored and not why_unreadable(stored, self._gateway):
            return stored
        record = await self._asked(record)
        name, again = printable(record.id), command("retry", self._directory, record.id, "--again")
        ended = record.finished_at or record.accepted_at
        if not record.result_url or ended is None or self._clock.since(ended) > FRESH_ENOUGH:
            if stored == "":
                missing = f"it needs {printable(record.file_name)}, which is missing or has changed"
                raise OutputMissing(f"{missing}: put it back, or download it again")
            why = f"that is older than {FRESH_ENOUGH / 3600:.0f} hours"
            if not record.result_url:
                why = "none is known: it was brought back from its file, and the gateway shows none"
            raise OutputMissing(
                f"it needs the video of {name} by a link, and {why}; "
                f"`{again}` makes it anew, which pays again: retry this one in the same night",
                LINK_EXPIRED,
            )
        if why := why_unreadable(record.result_url, self._gateway):
            raise OutputMissing(f"it needs the video of {name}, which the model can't read: {why}")
        return record.result_url

    async def _asked(self, record: TaskRecord) -> TaskRecord:
        """A video that was brought back from its file has no link in the ledger: the gateway may know it."""
        queries = self._queries.get(record.account or "")
        if record.result_url or not (queries and record.remote_id and record.attempt):
            return record
        answer, _ = await queries.poll(record.remote_id)
        for number in range(1, ASKED_AGAIN + 1):
            if not isinstance(answer, QueryFailed):
                break
            await self._clock.sleep(backoff(number, 0.5))
            answer, _ = await queries.poll(record.remote_id)
        if isinstance(answer, QueryFailed):
            why = f"the gateway doesn't say where it is ({answer.receipt.said})"
            raise OutputMissing(f"it needs the video of {printable(record.id)}, and {why}: retry this one")
        if not isinstance(answer, Succeeded) or not answer.result_url:
            return record
        facts = AttemptFacts(result_url=answer.result_url, finished_at=answer.finished_at)
        await self._ledger.note(record.attempt, facts)
        return await self._ledger.task(record.key)

    def _picture(self, record: TaskRecord, video: Path, picture: Path | None) -> str:
        """The gateway's picture of the last frame if it is that of the verified video, or else that frame."""
        frame, kept = self._from_video(record, video), self._kept_picture(picture)
        data = kept if is_same_picture(kept, frame) else frame
        mime = picture_type(data[:HEAD])
        if len(data) > self._most.max_bytes:
            try:
                data, mime = fitted(data, mime, self._most), "image/jpeg"
            except BrokenPicture as error:
                raise OutputMissing(f"the last frame of {printable(record.id)} {error}") from error
        return f"data:{mime};base64,{base64.b64encode(data).decode()}"

    def _kept_picture(self, path: Path | None) -> bytes:
        """The gateway's picture of the last frame; empty if there is none, or it is damaged."""
        if path is None or not path.is_file():
            return b""
        try:
            data = path.read_bytes()
            picture_ending(data)
        except (OSError, NotWhole):
            return b""
        return data

    def _from_video(self, record: TaskRecord, video: Path) -> bytes:
        name = printable(record.file_name)
        if not video.is_file():
            raise OutputMissing(f"it needs {name}, which is missing: put it back, or download it again")
        try:
            with video.open("rb") as file:
                is_ours = hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
            if not is_ours:
                raise OutputMissing(f"it needs {name}, which has changed since it was downloaded")
            return last_frame(video)
        except (OSError, NotPlayable) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise OutputMissing(f"it needs {name}, which can't be read: {why}") from error
