"""A run against an account with so many slots, in virtual time: the simulator's gateway and our decisions."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from batchrunner.core.model import AUTO, Ahead, RunSettings, TaskKey
from batchrunner.core.outcome import Echo, InProgress, PollOutcome, Succeeded
from batchrunner.core.poll_schedule import PollSchedule, Watch
from batchrunner.core.submission.capacity import Capacity
from batchrunner.simulator.capacity import Slots, Steps
from batchrunner.simulator.life import Ending, Life, ObservedLife, Timings
from batchrunner.simulator.loop import RefreshLoop

GENERATION = 90.0
"""Seconds that a job takes, in the middle."""
QUEUED, ANSWER, ACCEPTED, SUBMISSIONS = 3.0, 0.2, 0.5, 0.5
"""Seconds: the least in the model's queue, until a poll and until a POST is answered, and between POSTs."""

PAUSE = 10.0
"""Seconds without a submission after a 429."""


@dataclass
class Job:
    """A submission: its life upstream, and what we know of it."""

    number: int
    observed: ObservedLife
    watch: Watch
    held_until: float = math.inf
    """When its end was known to us."""

    @property
    def key(self) -> TaskKey:
        """Its name for the controller."""
        return TaskKey(str(self.number))


class Player(Protocol):
    """How a run decides how many are in flight and when to poll."""

    def limit(self, now: float) -> int:
        """How many may be in flight."""

    def accepted(self, in_flight: int, now: float) -> None:
        """A submission was accepted while so many others were in flight."""

    def refused(self, in_flight: int, now: float) -> None:
        """A submission got 429."""

    def answered(self, job: Job, answer: PollOutcome, asked: float, now: float) -> None:
        """A poll was answered."""

    def delay(self, job: Job, now: float) -> float:
        """Seconds until the next poll."""


class Auto:
    """The program's own decisions."""

    def __init__(
        self, seed: int = 1, concurrency: int = AUTO, ahead: Ahead | None = None, most: int = 64
    ) -> None:
        self.capacity = Capacity(RunSettings(concurrency, most, ahead))
        self.schedule = PollSchedule()
        self._dice = random.Random(seed)
        self.limit, self.accepted, self.refused = (
            self.capacity.limit,
            self.capacity.accepted,
            self.capacity.refused,
        )

    def answered(self, job: Job, answer: PollOutcome, asked: float, now: float) -> None:
        """Tell schedule and controller."""
        self.schedule.record(job.watch, answer, asked, now)
        if isinstance(answer, InProgress):
            self.capacity.saw(job.key, answer, now)
        else:
            self.capacity.left(job.key, now, finished=True)

    def delay(self, job: Job, now: float) -> float:
        """As the schedule says."""
        return self.schedule.delay(job.watch, now, self._dice.random(), self.capacity.sees_queue)


@dataclass
class Loop:
    """The usual script: so many at once, each polled every so many seconds."""

    seconds: float
    concurrency: int

    def limit(self, now: float) -> int:
        """Always the same."""
        return self.concurrency

    def accepted(self, in_flight: int, now: float) -> None:
        """Nothing is learned."""

    def refused(self, in_flight: int, now: float) -> None:
        """Nothing is learned."""

    def answered(self, job: Job, answer: PollOutcome, asked: float, now: float) -> None:
        """Count it."""
        job.watch.polls += 1

    def delay(self, job: Job, now: float) -> float:
        """Always the same."""
        return self.seconds


@dataclass
class Account:
    """One run to its end, or until `until` seconds."""

    player: Player
    capacity: int | Steps
    tasks: int = 10**9
    until: float = math.inf
    generation: float = GENERATION
    sigma: float = 0.0
    refresh: float = 15.0
    line: float = 0.0
    seed: int = 1
    queue_limit: int = 10**9
    unfinished: str = ""
    """The gateway's one word for all tasks that have not ended; empty if it tells queued from running."""
    jobs: list[Job] = field(default_factory=list)
    refusals: list[float] = field(default_factory=list)

    def play(self) -> Account:
        """Play it."""
        self._dice = random.Random(self.seed)
        pace = Timings(self.refresh, self.line, 86400.0, 86400.0)
        self._pace, self._loop = pace, RefreshLoop(-self._dice.uniform(0, self.refresh), pace)
        self._slots = Slots(self.capacity, 0.0, 1.0)
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._order, self._in_flight, self._left = count(), 0, self.tasks
        self._next_turn, self._turn_is_due = 0.0, False
        self._at(0.0, self._submit)
        while self._events:
            now, _, event = heapq.heappop(self._events)
            if now > self.until:
                break
            self._loop.advance(now)
            event(now)
        return self

    def _at(self, when: float, event: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), event))

    def _turn(self, now: float) -> None:
        self._turn_is_due = False
        self._submit(now)

    def _submit(self, now: float) -> None:
        if not self._left or self._in_flight >= self.player.limit(now):
            return
        if now < self._next_turn:
            if not self._turn_is_due:
                self._turn_is_due = True
                self._at(self._next_turn, self._turn)
            return
        self._next_turn = now + SUBMISSIONS
        self._in_flight, self._left = self._in_flight + 1, self._left - 1
        self._at(now + ACCEPTED, self._answered)
        self._submit(now)

    def _answered(self, now: float) -> None:
        others = self._in_flight - 1
        if self._slots.waiting(now) >= self.queue_limit:
            self.refusals.append(now)
            self._in_flight, self._left, self._next_turn = others, self._left + 1, now + PAUSE
            self.player.refused(others, now)
            return self._submit(now)
        running = self._slots.free_from(now + QUEUED)
        ended = running + self.generation * math.exp(self._dice.gauss(0, self.sigma))
        life = ObservedLife(Life(now, running, ended, Ending.SUCCEEDED), self._pace)
        self._slots.take(running, ended)
        self._loop.add(life)
        job = Job(len(self.jobs), life, Watch("kind", now, unfinished=now))
        self.jobs.append(job)
        self.player.accepted(others, now)
        self._at(now + self.player.delay(job, now), lambda at: self._poll(job, at))
        return self._submit(now)

    def _poll(self, job: Job, asked: float) -> None:
        phase = job.observed.phase
        answer: PollOutcome = InProgress(phase.status, phase.upstream or "", "")
        if self.unfinished:
            answer = InProgress(self.unfinished, "", "")
        if phase.status == "SUCCESS":
            answer = Succeeded("https://x/v.mp4", "", 1, None, Echo(), "{}")
        self._at(asked + ANSWER, lambda now: self._told(job, answer, asked, now))

    def _told(self, job: Job, answer: PollOutcome, asked: float, now: float) -> None:
        self.player.answered(job, answer, asked, now)
        if isinstance(answer, Succeeded):
            job.held_until = now
            self._in_flight -= 1
        else:
            self._at(now + self.player.delay(job, now), lambda at: self._poll(job, at))
        self._submit(now)

    # --- what came of it ---------------------------------------------------------------------------------

    def running(self, at: float) -> int:
        """How many generate."""
        return _holding(((job.observed.life.running_at, job.observed.life.ended_at) for job in self.jobs), at)

    def queued(self, at: float) -> int:
        """How many are queued upstream for want of a slot."""
        lives = (job.observed.life for job in self.jobs)
        return _holding(((life.created_at + QUEUED, life.running_at) for life in lives), at)

    def in_flight(self, at: float) -> int:
        """How many we count as in flight."""
        return _holding(((job.observed.life.created_at, job.held_until) for job in self.jobs), at)

    def ended(self, at: float) -> int:
        """How many have ended upstream."""
        return sum(job.observed.life.ended_at <= at for job in self.jobs)

    def size(self, at: float) -> int:
        """How many the account can generate."""
        steps = ((0.0, self.capacity),) if isinstance(self.capacity, int) else self.capacity
        return [size for since, size in steps if since <= at][-1]

    def busy(self, since: float, until: float) -> float:
        """The share of the account's slots that are busy in a time of constant capacity."""
        lives = (job.observed.life for job in self.jobs)
        used = sum(max(0.0, min(life.ended_at, until) - max(life.running_at, since)) for life in lives)
        return used / (self.size(since) * (until - since))

    def full_time(self) -> tuple[float, float]:
        """From the tenth start to the tenth last end."""
        starts = sorted(job.observed.life.running_at for job in self.jobs)
        return starts[9], sorted(job.observed.life.ended_at for job in self.jobs)[-10]

    def polls(self) -> float:
        """Polls a task, of those that have ended."""
        ended = [job.watch.polls for job in self.jobs if job.held_until < math.inf]
        return sum(ended) / len(ended)


def _holding(periods: Iterable[tuple[float, float]], at: float) -> int:
    return sum(since <= at < until for since, until in periods)


def mean(values: Sequence[float]) -> float:
    """The average."""
    return sum(values) / len(values)
