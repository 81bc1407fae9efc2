"""Schedules the next poll of a generation, based on how long similar ones took and on the gateway's loop."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import median

from batchrunner.core.gateway_loop import GATEWAY_REFRESH, GatewayLoop, Rounds
from batchrunner.core.outcome import GenerationFailed, InProgress, PollOutcome, Succeeded, UpstreamPlace

STRAGGLER_INTERVAL = 240.0
"""Seconds between polls of a task past its deadline."""
POLLS = 9
"""How many polls a task of usual length is worth; those to spare are made around a visit of the loop."""
DENSE, DENSEST = 7.5, 2.0
"""Seconds between polls while the end is likely: at most, and if all ends come at about the same age."""
NARROW = 3.0
"""Seconds within which a visit is expected, up to which one poll after it is enough."""
MOST_POLLS = 20.0
"""How many polls a second are too few to trouble any gateway."""
CROWDED = 10.0
"""Seconds in which each slot may be polled once on average, if that makes more of them."""
LEAST_QUEUED = 3.0
"""Seconds for which every task is queued upstream: what a visit before that shows says little."""
MARGIN = 0.3
"""Seconds from the time by which a visit is expected to have come until the poll that follows it."""


def most_polls_per_second(slots: int) -> float:
    """How many polls a second may be sent for all slots together.

    It grows with the slots: else the polls of 1,000 slots would wait for each other, and slots whose task
    has ended would wait for their poll.
    """
    return max(MOST_POLLS, slots / CROWDED)


@dataclass(frozen=True, slots=True)
class Usual:
    """How long similar tasks took until the gateway showed their end, in seconds."""

    first: float
    """Hardly any ended earlier."""
    typical: float
    """The median."""
    last: float
    """Hardly any ended later."""


def poll_delay(age: float, polls: int, usual: Usual | None, rounds: Rounds | None, chance: float) -> float:
    """Seconds until the next poll of a task that was accepted `age` seconds ago and polled `polls` times.

    The first poll is late; then polls come often while the end is likely, and slow down afterwards. Where the
    gateway's rounds are known, polls follow a visit of the loop. `chance` in [0, 1) spreads out tasks that
    were submitted together.
    """
    gap, earliest = _gap(age, usual), _earliest(age, usual)
    if rounds is None:
        return max(earliest + gap * chance / 2, gap * (0.85 + 0.3 * chance))
    spread, often = rounds.end - rounds.start, max(rounds.period, gap)
    if not usual or age >= usual.last or (spread <= NARROW and _spare(age, polls, usual, often) < 1):
        return rounds.first((spread + MARGIN + 0.4 * chance,), after=max(earliest, 0.7 * gap))
    # Polls on both sides of a visit show when it came: the earlier may see it already, the last one will.
    parts = max(2, math.ceil(spread / 5.0))
    tries = tuple(spread * (part + 0.6 * chance - 0.3) / parts for part in range(1, parts))
    return rounds.first((*tries, spread + MARGIN + 1.0), after=max(earliest, 0.8))


def queue_delay(age: float, rounds: Rounds | None, chance: float) -> float:
    """Seconds until the next poll of a task that isn't known to run yet, accepted `age` seconds ago."""
    settled = max(0.0, LEAST_QUEUED - age)
    if rounds is None:
        return settled + (0.5 + 0.2 * chance) * GATEWAY_REFRESH
    return rounds.first((rounds.end - rounds.start + MARGIN + 0.4 * chance,), after=max(settled, 0.8))


def _spare(age: float, polls: int, usual: Usual, gap: float) -> int:
    """How many polls would be left over if one followed each of the next visits, `gap` seconds apart."""
    likely = min(usual.last, 1.5 * usual.typical) - age - max(0.0, _earliest(age, usual))
    return POLLS - polls - max(1, math.ceil(likely / gap))


def _gap(age: float, usual: Usual | None) -> float:
    """Seconds between polls at this age if the gateway's rounds are not known."""
    if usual is None:
        return 12.0 if age < 180 else 30.0
    if age <= max(usual.last, 1.6 * usual.typical):
        return max(DENSEST, min(DENSE, (usual.last - usual.first) / POLLS))
    return GATEWAY_REFRESH if age < 4 * usual.typical else 60.0


def _earliest(age: float, usual: Usual | None) -> float:
    """Seconds until a poll is worth it; negative if it is already."""
    if usual is None:
        return (20.0 if age < 1 else 0.0) - age
    # One poll comes before the first end is likely: tasks may have become faster, and some fail early.
    early = 0.6 * usual.typical
    return (early if age < early - 1 else usual.first) - age


class Durations:
    """How long tasks of each kind took in this run."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, list[tuple[float, float]]] = {}
        self._usual: dict[Hashable, Usual] = {}
        """What follows from it: each poll asks, and few show an end."""

    def add(self, kind: Hashable, after: float, by: float) -> None:
        """Add a task that ended between these ages; only the newest 50 of a kind count."""
        seen = self._seen.setdefault(kind, [])
        # A clock that was set back makes ages negative, and a gateway may end tasks at once.
        after, by = max(after, 0.0), max(by, 1.0)
        # An end is seen late if the polls before it were far apart.
        seen.append((max(after, by - GATEWAY_REFRESH), by))
        del seen[:-50]
        if len(seen) >= 3:
            self._usual[kind] = self._learned(seen)

    def of(self, kind: Hashable) -> Usual | None:
        """What is usual; None until 3 have finished. Few tasks show less of the spread than many."""
        return self._usual.get(kind)

    @staticmethod
    def _learned(seen: Sequence[tuple[float, float]]) -> Usual:
        lower, upper = sorted(after for after, _ in seen), sorted(by for _, by in seen)
        typical, outside, stretch = median(upper), len(seen) // 20, 1 + 2 / len(seen)
        first = typical * (lower[outside] / typical) ** stretch
        last = 1.02 * typical * (upper[-1 - outside] / typical) ** stretch
        return Usual(min(first, typical), typical, last)


@dataclass(slots=True)
class Watch:
    """The polls of one task; times in nominal seconds of the run's clock."""

    kind: Hashable
    began: float
    unfinished: float | None
    """When it was last known to be unfinished; None if an earlier run submitted it."""
    polls: int = 0
    shown: str | None = None
    """The state that the gateway showed last."""
    queued: float | None = None
    """When it was last known to be queued upstream; None if it never was."""
    place: UpstreamPlace = UpstreamPlace.UNKNOWN
    """Where the gateway showed it last."""

    @property
    def origin(self) -> float:
        """From when on its generation is timed."""
        return self.began if self.queued is None else self.queued


class PollSchedule:
    """What all slots have learned about when to poll."""

    def __init__(self) -> None:
        self._durations = Durations()
        self._loop = GatewayLoop()

    def record(self, watch: Watch, answer: PollOutcome, asked: float, now: float) -> bool:
        """Record an answer to a poll sent at `asked`; return whether it shows a new state of the task."""
        watch.polls += 1
        match answer:
            case InProgress(status, upstream_status, place=place):
                shown = status + upstream_status
                watch.place = place
                if place is UpstreamPlace.QUEUED:
                    watch.queued = asked
            case Succeeded() | GenerationFailed():
                shown = "ended"
            case _:
                return False
        is_new = shown != watch.shown
        if watch.unfinished is not None:
            if is_new and watch.shown is not None:
                self._loop.saw(watch.unfinished, now)
            if isinstance(answer, Succeeded):
                self._durations.add(watch.kind, watch.unfinished - watch.origin, now - watch.origin)
        watch.shown, watch.unfinished = shown, asked
        return is_new

    def delay(self, watch: Watch, now: float, chance: float, sees_queue: bool = False) -> float:
        """Seconds until the next poll; with `sees_queue`, each visit of the loop counts until it runs."""
        usual, rounds = self._durations.of(watch.kind), self._loop.expected(now)
        if sees_queue and watch.place is not UpstreamPlace.RUNNING:
            return queue_delay(now - watch.began, rounds, chance)
        return poll_delay(now - watch.origin, watch.polls, usual, rounds, chance)
