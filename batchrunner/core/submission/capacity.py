"""How many generations may be in flight: a fixed number, or as many as the account is seen to run.

The upstream queues what is above the account's capacity, and polls show which tasks run and which are queued.
So the capacity is how many run while others are queued. As many may be in flight as are known to run, plus
`ahead`: a slot that becomes free is taken by the upstream's own queue, and the queue is never longer than
`ahead`, because whatever isn't known to run counts as queued.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from batchrunner.core.model import AUTO, Ahead, RunSettings, TaskKey
from batchrunner.core.outcome import InProgress, UpstreamPlace
from batchrunner.core.submission.finish_rate import FinishRate

USUAL_AHEAD = Ahead(percent=20)
"""With `AUTO`, unless the manifest says otherwise."""
BEGINS_WITH = 2
"""So many are taken to run before anything is known."""
SETTLED, SETTLED_FULL = 8.0, 25.0
"""Seconds for which so many must run: an end may be shown later than the start that it made room for. While
tasks are queued, the longer."""
REMEMBERED = 120.0
"""Seconds for which the capacity is remembered while fewer run and none is queued."""
CEILING_STANDS, CEILING_STANDS_LONGEST = 120.0, 3600.0
"""Seconds until one more than a 429 allowed is tried: after the first, and at most."""
FINISHED_FIRST = 3
"""After so many ends, a gateway that has never shown a queued task is not expected to."""
CANNOT_TELL = (
    "the gateway does not show which tasks are queued: concurrency is raised only while "
    "completions per minute increase"
)


class Capacity:
    """How many may be in flight; all times in nominal seconds."""

    def __init__(self, settings: RunSettings) -> None:
        self._concurrency, self._most = settings.concurrency, settings.max_concurrency
        self._given_ahead = settings.ahead
        self._places: dict[TaskKey, UpstreamPlace] = {}
        self._without_slot: set[TaskKey] = set()
        """Unfinished tasks past their deadline: still polled, but not in flight."""
        self._known = _Steady()
        self._ceiling = _Ceiling()
        self._rate = FinishRate()
        self._finished = 0
        self._told = False
        self._tells = False
        """Whether polls tell a queued task from a running one."""

    def allow(self, concurrency: int) -> None:
        """Use this number from now on; `AUTO` to find it."""
        self._concurrency = concurrency

    def saw(self, key: TaskKey, answer: InProgress, now: float) -> None:
        """A poll showed an unfinished task."""
        place = answer.place
        if key in self._without_slot:
            return
        if place is not UpstreamPlace.UNKNOWN:
            self._places[key] = place
            # The model itself knows; the gateway alone may call everything that isn't finished running.
            self._tells = self._tells or place is UpstreamPlace.QUEUED or bool(answer.upstream_status)
        self._known.note(self._running, self._queued, now)

    def left(self, key: TaskKey, now: float, finished: bool) -> None:
        """A task is not in flight any more; `finished` if its generation has ended."""
        self._places.pop(key, None)
        self._known.note(self._running, self._queued, now)
        if not finished:
            self._without_slot.add(key)
        else:
            self._finished += 1
            self._rate.finished(now)

    def accepted(self, in_flight: int, now: float) -> None:
        """A submission was accepted while so many others were in flight."""
        self._ceiling.accepted(in_flight)
        if not self.cannot_tell:
            self._rate.in_flight(in_flight + 1)

    def refused(self, in_flight: int, now: float) -> None:
        """A submission got 429 while so many others were in flight; those that run are not too many."""
        self._ceiling.refused(max(in_flight, self._known.most), now)

    @property
    def cannot_tell(self) -> bool:
        """Whether polls don't show what is queued, so that growth depends on completions per minute."""
        return self._concurrency == AUTO and not self._tells and self._finished >= FINISHED_FIRST

    def news(self) -> str:
        """What the user should know and has not been told; empty if there is nothing."""
        if self._told or not self.cannot_tell:
            return ""
        self._told = True
        return CANNOT_TELL

    def limit(self, now: float) -> int:
        """How many may be in flight now."""
        if self._concurrency != AUTO:
            return self._concurrency + self._ahead.of(self._concurrency)
        runs = self._running if self._queued else max(self._running, self._known.most)
        limit = runs + max(1, self._ahead.of(min(runs, self._known.most)))
        if self.cannot_tell:
            limit = min(limit, self._rate.level)
        return max(1, min(limit, self._most, self._ceiling.at(now) or limit))

    @property
    def sees_queue(self) -> bool:
        """Whether it matters which tasks are queued."""
        return self._concurrency == AUTO or self._ahead.of(1) > 0

    @property
    def _ahead(self) -> Ahead:
        return self._given_ahead or (USUAL_AHEAD if self._concurrency == AUTO else Ahead())

    @property
    def _running(self) -> int:
        return sum(place is UpstreamPlace.RUNNING for place in self._places.values())

    @property
    def _queued(self) -> bool:
        return UpstreamPlace.QUEUED in self._places.values()


class _Steady:
    """How many are known to run, without what lasts only a moment."""

    def __init__(self) -> None:
        self.most = BEGINS_WITH
        """So many have run at once."""
        self._history: deque[tuple[float, int]] = deque([(0.0, BEGINS_WITH)])
        """From when on how many ran."""
        self._queued_since: float | None = None
        self._queued_last = -SETTLED_FULL

    def note(self, running: int, queued: bool, now: float) -> None:
        """So many run now; `queued` says whether others are known to be queued."""
        if running != self._history[-1][1]:
            self._history.append((now, running))
        while len(self._history) > 1 and self._history[1][0] <= now - REMEMBERED:
            self._history.popleft()
        if queued:
            self._queued_last = now
            self._queued_since = now if self._queued_since is None else self._queued_since
        else:
            self._queued_since = None
        is_full = self._queued_since is not None and now - self._queued_since >= SETTLED
        was_full = now - self._queued_last < SETTLED_FULL
        most = max(self._within(SETTLED if is_full else REMEMBERED, now))
        least = min(self._within(SETTLED_FULL if was_full else SETTLED, now))
        self.most = min(max(self.most, least), most)

    def _within(self, seconds: float, now: float) -> list[int]:
        """How many ran in the last seconds."""
        ends = [*[at for at, _ in self._history][1:], now]
        return [
            running for (_, running), end in zip(self._history, ends, strict=True) if end >= now - seconds
        ]


@dataclass(slots=True)
class _Ceiling:
    """The number in flight that a 429 has shown to be too many."""

    most: int | None = None
    """How many others were in flight then."""
    since: float = 0.0
    stands: float = CEILING_STANDS
    """Seconds until one more is tried."""

    def refused(self, in_flight: int, now: float) -> None:
        """A 429 came while so many others were in flight."""
        if self.most is not None and now - self.since >= self.stands:  # one more was tried
            self.stands = min(2 * self.stands, CEILING_STANDS_LONGEST)
        self.most = in_flight if self.most is None else min(self.most, in_flight)
        self.since = now

    def accepted(self, in_flight: int) -> None:
        """One more than so many others was accepted: if that is above the ceiling, it was none."""
        if self.most is not None and in_flight >= self.most:
            self.most, self.stands = None, CEILING_STANDS

    def at(self, now: float) -> int | None:
        """How many may be in flight; None if nothing is known."""
        if self.most is None:
            return None
        return max(1, self.most) + (1 if now - self.since >= self.stands else 0)
