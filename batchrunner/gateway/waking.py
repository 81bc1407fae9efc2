"""Timeouts that a stopped process doesn't run into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEPS = 60


@asynccontextmanager
async def awake_timeout(seconds: float) -> AsyncIterator[None]:
    """Like `asyncio.timeout`, but a time in which the process was stopped counts as one of 60 steps.

    An answer that came while the process slept can so still be read: nothing else would know of it.
    """

    async def watch(scope: asyncio.Timeout) -> None:
        for _ in range(STEPS):
            await asyncio.sleep(seconds / STEPS)
        scope.reschedule(asyncio.get_running_loop().time())

    async with asyncio.timeout(None) as scope:
        watching = asyncio.create_task(watch(scope), name="awake timeout")
        try:
            yield
        finally:
            watching.cancel()
