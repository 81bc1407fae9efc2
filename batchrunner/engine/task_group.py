"""The task group of a run: it owns every coroutine, and none fails unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from types import TracebackType
from typing import Self

Job = Callable[..., Coroutine[None, None, None]]
"""Called only when it starts: a coroutine that is created but never started causes a warning."""


class RunTaskGroup:
    """Workers, collectors and chores of one run, in one task group.

    A failure doesn't cancel the others: it is reported, so that unanswered submissions are awaited before
    the run ends.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        """`failed` is called with each exception."""
        self._group, self._failed = asyncio.TaskGroup(), failed
        self._all: set[asyncio.Task[None]] = set()
        self._collecting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._group.__aexit__(kind, error, trace)

    def work(self, job: Job, *args: object) -> None:
        """Start a worker."""
        self._start((self._all,), job, args)

    def collect(self, job: Job, *args: object) -> None:
        """Start collecting one video."""
        self._start((self._all, self._collecting), job, args)

    def chore(self, job: Job, *args: object) -> None:
        """Start something that runs until `dismiss`."""
        self._start((self._all,), job, args)

    async def collected(self, at_most: float | None = None) -> None:
        """Wait until nothing is being collected, but no longer than `at_most` real seconds."""
        loop = asyncio.get_running_loop()
        end = None if at_most is None else loop.time() + at_most
        while self._collecting and (end is None or loop.time() < end):
            left = None if end is None else end - loop.time()
            await asyncio.wait(self._collecting, timeout=left)

    def dismiss(self) -> None:
        """Cancel everything still running."""
        for task in self._all:
            task.cancel()

    def _start(self, sets: Iterable[set[asyncio.Task[None]]], job: Job, args: Sequence[object]) -> None:
        task = self._group.create_task(self.guarded(job, *args))
        for members in sets:
            members.add(task)
            task.add_done_callback(members.discard)

    async def guarded(self, job: Job, *args: object) -> None:
        """Run `job`; report its exception instead of raising it."""
        try:
            await job(*args)
        except Exception as error:
            self._failed(error)
