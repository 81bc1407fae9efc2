"""How many may be in flight on a gateway that doesn't show what is queued: more only while more finish."""

from __future__ import annotations

STEP = 0.2
"""By which share the number in flight is raised at a time."""
RISES = 0.5
"""Finishes must rise by at least this share of what the number in flight has risen by."""
COUNTED = 2
"""How many finishes are counted for each in flight."""
TRIED_AGAIN = 1800.0
"""Seconds until more are tried again after they made no difference."""


class FinishRate:
    """Raises the number in flight step by step, and takes a step back that made no difference.

    All times in nominal seconds.
    """

    def __init__(self) -> None:
        self.level = 1
        """How many may be in flight."""
        self._before: tuple[int, float] | None = None
        """The level before, and its finishes per second."""
        self._skipped = self._counted = 0
        self._begun = 0.0
        """Since when finishes are counted."""
        self._rests_until = 0.0

    def in_flight(self, number: int) -> None:
        """So many were in flight before it was known that the gateway doesn't tell: start from there."""
        if number > self.level and self._before is None:
            self.level = number
            self._skipped = self._counted = 0

    def finished(self, now: float) -> None:
        """A generation has ended."""
        if now < self._rests_until:
            return
        if self._skipped < self.level:  # it was submitted when another number was in flight
            self._skipped, self._begun = self._skipped + 1, now
            return
        self._counted += 1
        if self._counted >= COUNTED * self.level and now > self._begun:
            self._judge(self._counted / (now - self._begun), now)
            self._skipped = self._counted = 0

    def _judge(self, rate: float, now: float) -> None:
        if self._before:
            level, earlier = self._before
            if rate < earlier * (1 + RISES * (self.level / level - 1)):
                self.level, self._before, self._rests_until = level, None, now + TRIED_AGAIN
                return
        self._before = self.level, rate
        self.level += max(1, round(STEP * self.level))
