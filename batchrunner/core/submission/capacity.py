"""How many generations may be in flight: a fixed number, or as many as the account is seen to run.

The upstream queues what is above the account's capacity, and polls show which tasks run and which are queued.
So the capacity is how many run while others are queued. As many may be in flight as are known to run, plus
`ahead`: a slot that becomes free is taken by the upstream's own queue, and the queue is never longer than
`ahead`, because whatever isn't known to run counts as queued.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from batchrunner.core.model import AUTO, Ahead, RunSettings
from batchrunner.core.outcome import InProgress, UpstreamPlace
from batchrunner.core.submission.finish_rate import FinishRate
from batchrunner.core.submission.sliding import Extreme

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
    "the gateway does not show which tasks run: concurrency is raised only while "
    "completions per minute increase"
)


class Capacity:
    """How many may be in flight; all times in nominal seconds."""

    def __init__(self, settings: RunSettings) -> None:
        self._concurrency, self._most = settings.concurrency, settings.max_concurrency
        self._given_ahead = settings.ahead
        self._places: dict[Hashable, UpstreamPlace] = {}
        """By task; two runs may have tasks with the same key."""
        self._at: Counter[UpstreamPlace] = Counter()
        """How many are at each place."""
        self._without_slot: set[Hashable] = set()
        """Unfinished tasks past their deadline: still polled, but not in flight."""
        self._known = _Steady()
        self._ceiling = _Ceiling()
        self._rate = FinishRate()
        self._finished = 0
        self._told = False
        self._has_run = False
        """Whether a poll has ever shown a running task: some gateways call it queued until it is finished."""
        self._names_queued = False
        """Whether a queued task would be shown as one."""

    def allow(self, concurrency: int) -> None:
        """Use this number from now on; `AUTO` to find it."""
        self._concurrency = concurrency

    def bound(self, most: int, ahead: Ahead | None) -> None:
        """Use this upper bound with `AUTO`, and keep so many queued, from now on."""
        self._most, self._given_ahead = most, ahead

    def saw(self, key: Hashable, answer: InProgress, now: float) -> None:
        """A poll showed an unfinished task."""
        place = answer.place
        if key in self._without_slot:
            return
        if place is not UpstreamPlace.UNKNOWN:
            self._moved(key, place)
            self._has_run = self._has_run or place is UpstreamPlace.RUNNING
            # The model itself knows; the gateway alone may call everything that isn't finished running.
            if place is UpstreamPlace.QUEUED or answer.upstream_status:
                self._names_queued = True
        self._known.note(self._running, self._queued, now)

    def left(self, key: Hashable, now: float, finished: bool) -> None:
        """A task is not in flight any more; `finished` if its generation has ended."""
        self._moved(key, None)
        self._known.note(self._running, self._queued, now)
        if not finished:
            self._without_slot.add(key)
        else:
            self._finished += 1
            self._rate.finished(now)

    def forget(self, is_meant: Callable[[Hashable], bool], now: float) -> None:
        """Nobody follows these tasks any more: what was last seen of them says nothing."""
        for key in [key for key in self._places if is_meant(key)]:
            self._moved(key, None)
        self._known.note(self._running, self._queued, now)

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
        tells = self._has_run and self._names_queued
        return self._concurrency == AUTO and not tells and self._finished >= FINISHED_FIRST

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
        if not self._has_run:
            runs = max(runs, BEGINS_WITH)
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

    def _moved(self, key: Hashable, place: UpstreamPlace | None) -> None:
        before = self._places.pop(key, None)
        if before is not None:
            self._at[before] -= 1
        if place is not None:
            self._places[key] = place
            self._at[place] += 1

    @property
    def _running(self) -> int:
        running, queued = self._at[UpstreamPlace.RUNNING], self._at[UpstreamPlace.QUEUED]
        return running + queued if self._never_runs else running

    @property
    def _queued(self) -> bool:
        return self._at[UpstreamPlace.QUEUED] > 0 and not self._never_runs

    @property
    def _never_runs(self) -> bool:
        """Whether "queued" says nothing: tasks have finished, and none was ever shown as running."""
        return not self._has_run and self._finished >= FINISHED_FIRST


class _Steady:
    """How many are known to run, without what lasts only a moment."""

    def __init__(self) -> None:
        self.most = BEGINS_WITH
        """So many have run at once."""
        self._most_of = {seconds: Extreme(seconds, BEGINS_WITH, max) for seconds in (SETTLED, REMEMBERED)}
        self._least_of = {seconds: Extreme(seconds, BEGINS_WITH, min) for seconds in (SETTLED, SETTLED_FULL)}
        """How many ran in the last seconds."""
        self._queued_since: float | None = None
        self._queued_last = -SETTLED_FULL

    def note(self, running: int, queued: bool, now: float) -> None:
        """So many run now; `queued` says whether others are known to be queued."""
        for extreme in (*self._most_of.values(), *self._least_of.values()):
            extreme.note(running, now)
        if queued:
            self._queued_last = now
            self._queued_since = now if self._queued_since is None else self._queued_since
        else:
            self._queued_since = None
        is_full = self._queued_since is not None and now - self._queued_since >= SETTLED
        was_full = now - self._queued_last < SETTLED_FULL
        most = self._most_of[SETTLED if is_full else REMEMBERED].at(now)
        least = self._least_of[SETTLED_FULL if was_full else SETTLED].at(now)
        self.most = min(max(self.most, least), most)


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
