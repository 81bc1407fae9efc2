"""One clock for all waits of a run, so that a simulated night can pass in minutes.

All documented times are nominal seconds; at a scale of 0.01, each takes a hundredth of a real second.
Network timeouts are in real seconds and don't use this clock.
"""

from __future__ import annotations

import asyncio
import time


class Clock:
    """Nominal time since creation, unaffected by changes of the wall clock."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._start = time.monotonic()

    def now(self) -> float:
        """Nominal seconds since creation."""
        return (time.monotonic() - self._start) / self.scale

    def wall(self) -> float:
        """The wall clock in Unix seconds, for records."""
        return time.time()

    def since(self, wall: float) -> float:
        """Nominal seconds since a recorded time; never negative."""
        return max(0.0, (self.wall() - wall) / self.scale)

    def until(self, wall: float) -> float:
        """Nominal seconds until the wall clock shows a time in Unix seconds; never negative."""
        return max(0.0, (wall - self.wall()) / self.scale)

    def real(self, seconds: float) -> float:
        """Convert nominal to real seconds."""
        return seconds * self.scale

    async def sleep(self, seconds: float) -> None:
        """Sleep for this many nominal seconds."""
        await asyncio.sleep(max(0.0, self.real(seconds)))


class Pace:
    """Evenly spaced turns: at most `per_second` per nominal second, and none while it is held."""

    def __init__(self, clock: Clock, per_second: float) -> None:
        self._clock = clock
        self._distance = 1 / per_second
        self._next = 0.0
        self._holds = 0

    def hold(self, seconds: float) -> None:
        """Give no turn for this many nominal seconds, not even to those already waiting for theirs."""
        self._next = max(self._next, self._clock.now() + seconds)
        self._holds += 1

    async def turn(self) -> None:
        """Wait for the next free turn."""
        while True:
            now, holds = self._clock.now(), self._holds
            mine = max(now, self._next)
            self._next = mine + self._distance
            if mine > now:
                await self._clock.sleep(mine - now)
            if holds == self._holds:
                return
