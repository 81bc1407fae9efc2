"""One clock for all waits of a run, so that a simulated night can pass in minutes.

Nominal seconds are what the documents speak of; with a scale of 0.01 each takes a hundredth of a real one.
Timeouts of network calls do not pass through here.
"""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Nominal time since it was made, unmoved by changes of the wall clock."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._start = time.monotonic()

    def now(self) -> float:
        """Nominal seconds since the clock was made."""
        return (time.monotonic() - self._start) / self.scale

    def wall(self) -> float:
        """Unix seconds, for the record."""
        return time.time()

    def since(self, wall: float) -> float:
        """Nominal seconds that have passed since a recorded time; never negative."""
        return max(0.0, (self.wall() - wall) / self.scale)

    def real(self, seconds: float) -> float:
        """How many real seconds this many nominal ones take."""
        return seconds * self.scale

    async def sleep(self, seconds: float) -> None:
        """Wait for nominal seconds."""
        await asyncio.sleep(max(0.0, self.real(seconds)))


class Pace:
    """Turns at even distances: at most `per_second` in a nominal second."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        self._clock = clock
        self._distance = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next free turn."""
        now = self._clock.now()
        mine = max(now, self._next)
        self._next = mine + self._distance
        if mine > now:
            await self._clock.sleep(mine - now)
