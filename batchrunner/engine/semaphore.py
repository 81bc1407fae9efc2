"""A first-come, first-served semaphore whose limit can change while in use."""

from __future__ import annotations

import asyncio
from collections import deque


class AdjustableSemaphore:
    """Admits at most `limit` holders at once, first come, first served."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def allow(self, limit: int) -> None:
        """Change the limit; current holders are never evicted."""
        self._limit = limit
        self._give()

    async def __aenter__(self) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._give()
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():  # granted just before the cancellation: pass it on
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
