"""A first-come, first-served semaphore whose limit can change while in use."""

from __future__ import annotations

import asyncio
from collections import deque


class AdjustableSemaphore:
    """At most so many hold a turn at once, in the order in which they asked."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def allow(self, limit: int) -> None:
        """Let so many hold a turn from now on; a turn that was given is never taken away."""
        self._limit = limit
        self._give()

    async def __aenter__(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._give()
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # it was given just now, and nobody wants it any more
                self._taken -= 1
                self._give()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._taken -= 1
        self._give()

    def _give(self) -> None:
        while self._waiting and self._taken < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)
