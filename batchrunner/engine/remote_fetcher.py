"""Has videos fetched by a cluster, through a child process; whatever that can't do is done here.

The child is only help: it has no key, records nothing and submits nothing. If it ends, hangs or talks
nonsense, what it was asked for is fetched here, and it is started again a few times.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from batchrunner.core.file_names import VIDEOS
from batchrunner.core.links import VideoSource
from batchrunner.core.outcome import Receipt
from batchrunner.core.text import count
from batchrunner.engine.fetch_messages import (
    ClusterSetup,
    FetchAnswer,
    LeftPart,
    NotHere,
    read_answer,
    request_line,
)
from batchrunner.engine.fetcher import Fetcher, FetchRequest
from batchrunner.storage.files import PartFile, part_of, remove_part_files
from batchrunner.storage.video_store import Kept, Taken, VideoStore

CHILD = (sys.executable, "-X", "utf8", "-m", "batchrunner.cluster")
"""The command of the process that uses the cluster."""
STARTS = (0.0, 1.0, 5.0, 25.0)
"""Real seconds before each start of the child; after the last one, everything is fetched here."""
PATIENCE = 300.0
"""Real seconds to wait for an answer; the child tries a job twice, for 120 s each."""
ENDS_WITHIN = 5.0
"""Real seconds in which the child ends by itself once it is no longer needed."""
LONGEST_LINE = 1 << 16
"""Bytes; the child never sends a longer line."""

_PART_NAME = re.compile(r"\.[^/\0]+\.[0-9a-f]{8}\.part")
_SECRETS = frozenset({"EASYROUTER_API_KEY", "CREDENTIALS_DIRECTORY"})


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for the child: without the key, what leads to it, and passwords of proxies.

    Those of the storage stay, which workers on this machine need.
    """

    def is_secret(name: str, value: str) -> bool:
        return name in _SECRETS or (name.lower().endswith("_proxy") and "@" in value)

    return {name: value for name, value in environment.items() if not is_secret(name, value)}


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
        self._here, self._videos, self._setup, self._notice = here, videos, setup, notice
        self._command, self._starts, self._patience = command, starts, patience
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[FetchAnswer]] = {}
        self._child: Process | None = None
        self._begun = asyncio.Event()
        self._asked = self._fetched = 0
        self._told = set[str]()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[RemoteFetcher]:
        """Keep a child running as long as the context."""
        keeping = asyncio.create_task(self._keep_running(), name="cluster")
        try:
            await self._begun.wait()
            yield self
        finally:
            keeping.cancel()
            if self._asked:
                tried = count(self._asked, "try", "tries")
                self._notice(f"{count(self._fetched, 'video')} downloaded on the cluster in {tried}")
            await asyncio.gather(keeping, return_exceptions=True)
            # What workers left and nobody wanted any more; downloads in progress are locked.
            remove_part_files(Path(self._setup.directory) / VIDEOS)

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
            answer = await self._ask(wanted)
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

    async def _take(
        self, left: LeftPart, wanted: FetchRequest, note_hash: Callable[[str], Awaitable[None]]
    ) -> Kept | Taken | None:
        """Put the part file that a worker left in place; None if it isn't there as it was described."""
        final = Path(self._setup.directory) / wanted.identity.name
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

    async def _ask(self, wanted: FetchRequest) -> FetchAnswer | None:
        """Have a video fetched by the cluster; None if there is no answer."""
        child, number = self._child, next(self._numbers)
        if child is None or child.stdin is None:
            return None
        self._asked += 1
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            child.stdin.write(f"{request_line(number, wanted)}\n".encode())
            async with asyncio.timeout(self._patience):
                found: FetchAnswer = await answer
        except TimeoutError:
            self._once("the cluster doesn't answer; its work is done here")
            with suppress(ProcessLookupError):
                child.kill()
            return None
        finally:
            self._waiting.pop(number, None)
        if isinstance(found, NotHere) and found.why:
            self._once(f"the cluster can't fetch a video, so this machine does: {found.why}")
        return found

    async def _keep_running(self) -> None:
        """Start the child, and again whenever it ends, until that is no use."""
        probe = part_of(Path(self._setup.directory) / VIDEOS / "probe")
        setup = replace(self._setup, probe=probe.name)
        try:
            probe.write_text(probe.name, encoding="utf-8")
            for wait in self._starts:
                await asyncio.sleep(wait)
                await self._run_child(setup)
            self._once("the cluster is gone; this machine collects the rest")
        except OSError as error:
            self._once(f"the cluster can't be used: {error.strerror}")
        finally:
            self._begun.set()
            with suppress(OSError):
                probe.unlink()

    async def _run_child(self, setup: ClusterSetup) -> None:
        """Run the child until it ends, or says something that can't be understood."""
        # Its own session: Ctrl-C on the terminal must reach only the run.
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=child_environment(os.environ),
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        try:
            assert child.stdin  # noqa: S101  a pipe
            assert child.stdout  # noqa: S101  also a pipe
            child.stdin.write(f"{setup.line()}\n".encode())
            self._child = child
            self._begun.set()
            while line := await child.stdout.readline():
                self._answered(*read_answer(line))
        except ValueError:  # not an answer, or without an end
            self._once("the process that uses the cluster sent something that is not an answer")
            with suppress(ProcessLookupError):
                child.kill()
        finally:
            self._child = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(NotHere(""))
            await _ended(child)

    def _answered(self, number: int, answer: FetchAnswer) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        elif not number and isinstance(answer, NotHere):  # about no request: why it ends
            self._once(f"the cluster can't be used: {answer.why}")

    def _once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._notice(text)


async def _ended(child: Process) -> None:
    """Let the child end, or end it."""
    if child.stdin:
        child.stdin.close()
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            await child.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
