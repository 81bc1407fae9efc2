"""Timeouts that don't count the time a process was suspended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEPS = 60
ASLEEP = 0.5
"""A step late by this many seconds means that the process was suspended, not just slow."""


class Patience:
    """How much of a timeout has passed, in steps."""

    def __init__(self) -> None:
        self.steps = 0

    def renew(self) -> None:
        """Restart the timeout after data has arrived."""
        self.steps = 0


@asynccontextmanager
async def awake_timeout(seconds: float) -> AsyncIterator[Patience]:
    """Like `asyncio.timeout`, but a step during which the process was suspended does not count.

    So an answer that arrived while the process was suspended can still be read. A single timer is not
    enough: after a suspension, asyncio runs due timers before it reads what has arrived.
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
