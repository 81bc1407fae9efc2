"""How much of the time for which slots are held they are in use: the schedule against modelled gateways."""

import heapq
import math
import random
from dataclasses import dataclass, field
from itertools import count

import pytest

from batchrunner.core.outcome import Echo as VideoEcho
from batchrunner.core.outcome import InProgress, Succeeded
from batchrunner.core.poll_schedule import PollSchedule, Watch

SLOTS, TASKS = 10, 120
QUEUED, ANSWER, SUBMISSION = 3.0, 0.2, 0.5
"""Seconds in the model's queue, until a poll is answered, and from a free slot to the next acceptance."""
DONE = Succeeded("https://x/v.mp4", "", 1, None, VideoEcho(), "{}")


@dataclass
class Job:
    """A task: when it runs and ends at the model, and when the gateway shows that."""

    watch: Watch
    shown_at: tuple[float, float]
    """When the gateway shows that it runs, and that it has ended."""
    held_until: float = math.inf

    def answer(self, now):
        running, ended = self.shown_at
        if now >= ended:
            return DONE
        return InProgress("IN_PROGRESS", "running", "") if now >= running else InProgress("NOT_START", "", "")


@dataclass
class Play:
    """A run in virtual time: ten slots, one schedule, a gateway that comes by at these moments."""

    visits: list[float] | None
    """Ascending; None for a gateway that shows every change at once."""
    sigma: float
    dice: random.Random
    generation: float = 90.0
    schedule: PollSchedule = field(default_factory=PollSchedule)

    def run(self):
        """Play all tasks to their ends; return them in the order of these ends."""
        order, left, done = count(), TASKS, []
        moments = [(0.5 * slot, next(order), None) for slot in range(SLOTS)]
        while moments:
            now, _, job = heapq.heappop(moments)
            if job is None:
                if not left:
                    continue
                left, job = left - 1, self._accepted(now)
            elif self._ends(job, now):
                done.append(job)
                heapq.heappush(moments, (now + ANSWER + SUBMISSION, next(order), None))
                continue
            answered = now + (ANSWER if job.watch.polls else 0.0)
            delay = self.schedule.delay(job.watch, answered, self.dice.random())
            heapq.heappush(moments, (answered + delay, next(order), job))
        return done

    def _accepted(self, now):
        running = now + QUEUED
        ended = running + self.generation * math.exp(self.dice.gauss(0, self.sigma))
        return Job(Watch("kind", now, unfinished=now), (self._shown(running), self._shown(ended)))

    def _shown(self, moment):
        return moment if self.visits is None else next(visit for visit in self.visits if visit >= moment)

    def _ends(self, job, asked):
        answer = job.answer(asked + ANSWER / 2)
        self.schedule.record(job.watch, answer, asked, asked + ANSWER)
        job.held_until = asked + ANSWER
        return answer is DONE


def visits_every(period, jitter=0.0, seed=1):
    """The moments at which a loop comes by."""
    dice, moment = random.Random(seed), random.Random(seed).uniform(0, period)
    while True:
        yield moment
        moment += period * (1 + dice.uniform(-jitter, jitter))


def played(period, sigma, jitter=0.0, generation=90.0):
    """The share in use of the time for which slots were held, in per cent, and the polls of each task."""
    used = held = 0.0
    polls = []
    for seed in range(5):
        rounds = visits_every(period, jitter, seed) if period else None
        visits = [next(rounds) for _ in range(10_000)] if rounds else None
        jobs = Play(visits, sigma, random.Random(seed), generation).run()
        begin = sorted(job.watch.began for job in jobs)[SLOTS - 1]
        end = jobs[-SLOTS].held_until
        for job in jobs:
            since = max(begin, job.watch.began)
            used += max(0.0, min(job.shown_at[1], end) - since)
            held += max(0.0, min(job.held_until, end) - since)
            polls.append(job.watch.polls)
    return 100 * used / held, polls


@pytest.mark.parametrize(("sigma", "goal"), [(0.0, 98), (0.25, 97)])
def test_slots_are_in_use_nearly_all_the_time(sigma, goal):
    """With the gateway's usual loop of 15 s, ends are seen within two or three seconds."""
    use, polls = played(15, sigma)
    assert use >= goal
    assert sum(polls) / len(polls) <= 7
    assert sum(number > 10 for number in polls) <= 0.1 * len(polls)


@pytest.mark.parametrize("sigma", [0.0, 0.25])
@pytest.mark.parametrize(
    ("period", "jitter"),
    [(None, 0.0), (5, 0.0), (11.3, 0.0), (30, 0.0), (60, 0.0), (15, 0.05), (15, 0.6)],
    ids=["no loop", "5 s", "11.3 s", "30 s", "60 s", "uneven", "irregular"],
)
def test_slot_use_does_not_depend_on_the_usual_loop(period, jitter, sigma):
    """Whatever the gateway's loop, ends are seen about as early as by polling every 7.5 s, or earlier."""
    use, polls = played(period, sigma, jitter)
    assert use >= (97 if sigma == 0 else 95)
    assert sum(polls) / len(polls) <= 8


@pytest.mark.parametrize(("generation", "goal"), [(60, 95.5), (300, 98)])
def test_shorter_and_longer_jobs(generation, goal):
    """An end is seen a few seconds late, whatever the usual time of a job."""
    use, _ = played(15, 0.25, generation=generation)
    assert use >= goal


def test_jobs_that_become_faster_are_noticed():
    """After many jobs of 90 s, jobs of 30 s are soon polled at their new ends."""
    play = Play(None, 0.0, random.Random(1))
    play.run()
    play.generation = 30.0
    lags = [job.held_until - job.shown_at[1] for job in play.run()]
    assert max(lags[:SLOTS]) > 20
    assert max(lags[-SLOTS:]) < 8
