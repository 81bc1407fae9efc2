"""The most or the least that a number has been within the last seconds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

Choice = Callable[[int, int], int]
"""`max` or `min`."""


class Extreme:
    """The extreme of a number that changes at certain moments, over a sliding window; O(1) on average.

    Values that a later one outdoes are dropped: each value kept is more extreme than all after it.
    """

    def __init__(self, seconds: float, value: int, choose: Choice) -> None:
        self._seconds, self._choose = seconds, choose
        self._kept: deque[tuple[int, float]] = deque()
        """Values, and when each ended."""
        self._value = value

    def note(self, value: int, now: float) -> None:
        """From now on this is the number."""
        if value == self._value:
            return
        before, self._value = self._value, value
        while self._kept and self._choose(self._kept[-1][0], before) == before:
            self._kept.pop()
        self._kept.append((before, now))

    def at(self, now: float) -> int:
        """The extreme of what the number was within the last seconds."""
        while self._kept and self._kept[0][1] < now - self._seconds:
            self._kept.popleft()
        return self._choose(self._value, self._kept[0][0]) if self._kept else self._value
