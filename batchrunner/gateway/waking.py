"""Timeouts that a stopped process doesn't run into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEPS = 60
ASLEEP = 0.5
"""Seconds by which a step is late when the process was stopped in it, and not just held up."""


class Patience:
    """How much of a timeout is used up, in steps."""

    def __init__(self) -> None:
        self.steps = 0

    def renew(self) -> None:
        """Something was heard: the timeout begins anew."""
        self.steps = 0


@asynccontextmanager
async def awake_timeout(seconds: float) -> AsyncIterator[Patience]:
    """Like `asyncio.timeout`, but a step of it in which the process was stopped does not count.

    An answer that came while the process slept can so still be read: nothing else would know of it. A
    timer alone would not do: a stop and its end interrupt the selector, and after it the timers that are
    due come before what has arrived.
    """
    patience, step = Patience(), seconds / STEPS

    async def watch(scope: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        while patience.steps < STEPS:
            began = loop.time()
            await asyncio.sleep(step)
            patience.steps += loop.time() - began < step + ASLEEP
        scope.reschedule(loop.time())

    async with asyncio.timeout(None) as scope:
        watching = asyncio.create_task(watch(scope), name="awake timeout")
        try:
            yield patience
        finally:
            watching.cancel()
