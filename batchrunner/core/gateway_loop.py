"""Learns when the gateway's refresh loop comes by, from when its answers changed.

Between two visits of the loop, the gateway's answers about a task stay the same; so a change between two
polls says that a visit lies between them. Many such sightings, moved by whole periods to one place, leave a
short window for all visits. If they don't (no loop, an irregular one, a long line of tasks in each round),
nothing is expected. Only the run's own clock is used: the gateway's may be wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

Sighting = tuple[float, float]
"""A visit came after the first time and by the second."""

GATEWAY_REFRESH = 15.0
"""Seconds between the gateway's own polls of the model, unless sightings say otherwise."""
MEMORY = 24
"""How many sightings count, newest first."""
TELLING = 0.8
"""The share of a period up to which a sighting says something about the time of a visit."""
SAME_VISIT = 2.0
"""Sightings within this many seconds are of the same visit: the narrowest counts."""
CERTAIN = 7.0
"""The visits are known if sightings would fit as well by chance once in e to this power."""
STEPS = (0.0, -0.001, 0.001, -0.002, 0.002, -0.004, 0.004, -0.008, 0.008)
"""The corrections of the period that are tried when sightings contradict each other."""
DRIFT = 0.01
"""The share of a period by which a visit may be early or late, for each round since the one seen closest."""
MOST_SPREAD = 0.6
"""Visits spread over more than this share of a period can't be aimed at."""


@dataclass(frozen=True, slots=True)
class Rounds:
    """When the loop comes by: once in each period. All in seconds."""

    period: float
    start: float
    """From when on the visit of one round may come, from now: negative if that is past."""
    end: float
    """When the visit of that round has come."""

    def first(self, offsets: tuple[float, ...], after: float) -> float:
        """The first moment after `after` with one of these ascending offsets from the start of a round."""
        turn = math.floor((after - self.start - offsets[-1]) / self.period)
        while True:
            for offset in offsets:
                if (moment := self.start + turn * self.period + offset) > after:
                    return moment
            turn += 1


@dataclass(frozen=True, slots=True)
class _Fit:
    """The sightings, moved by whole periods to the same round."""

    period: float
    start: float
    end: float
    evidence: float
    """The logarithm of how improbable it is that they fit by chance."""
    agrees: bool
    """Whether one moment lies in all of them."""


_NOTHING = _Fit(GATEWAY_REFRESH, 0.0, 0.0, 0.0, agrees=True)


class GatewayLoop:
    """What is known of the loop; all times in nominal seconds of one clock."""

    def __init__(self) -> None:
        self._seen: list[Sighting] = []
        self._fit = _NOTHING

    def saw(self, after: float, by: float) -> None:
        """The gateway's answers about a task changed between these two times."""
        if by - after >= TELLING * self._fit.period:
            return
        if self._seen and by - self._seen[-1][1] < SAME_VISIT:
            if by - after >= _width(self._seen[-1]):
                return
            self._seen.pop()
        self._seen.append((after, by))
        del self._seen[:-MEMORY]
        self._fit = self._learned()

    def expected(self, now: float) -> Rounds | None:
        """The visits to expect, from now; None if unknown."""
        fit = self._fit
        if fit.evidence < CERTAIN:
            return None
        rounds = round((now - fit.start) / fit.period)
        moved = rounds * fit.period - now
        drift = DRIFT * fit.period * abs(rounds)
        spread = fit.end - fit.start + 2 * drift
        if spread > MOST_SPREAD * fit.period:
            return None
        return Rounds(fit.period, fit.start + moved - drift, fit.end + moved + drift)

    def _learned(self) -> _Fit:
        fit = self._fitted(self._fit.period)
        if not fit.agrees:
            fit = max(self._others(fit), key=lambda other: other.evidence)
        return fit if fit.evidence >= CERTAIN else self._fitted(GATEWAY_REFRESH)

    def _others(self, fit: _Fit) -> Iterator[_Fit]:
        return (self._fitted(fit.period * (1 + step)) for step in STEPS)

    def _fitted(self, period: float) -> _Fit:
        seen = [one for one in self._seen if _width(one) < TELLING * period]
        if len(seen) < 3:
            return _Fit(period, 0.0, 0.0, 0.0, agrees=True)
        narrowest = min(reversed(seen), key=_width)
        middle = (narrowest[0] + narrowest[1]) / 2
        latest_start, earliest_end = -math.inf, math.inf
        for after, by in seen:
            moved = period * round(((after + by) / 2 - middle) / period)
            latest_start = max(latest_start, after - moved)
            earliest_end = min(earliest_end, by - moved)
        # If no moment lies in all of them, the visits themselves are spread from one end to the other.
        spread = max(0.0, latest_start - earliest_end)
        chances = sum(math.log(min(1.0, (by - after + spread) / period)) for after, by in seen)
        start, end = sorted((latest_start, earliest_end))
        return _Fit(period, start, end, -chances - math.log(len(seen)), agrees=not spread)


def _width(sighting: Sighting) -> float:
    after, by = sighting
    return by - after
