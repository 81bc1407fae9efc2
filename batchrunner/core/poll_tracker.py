"""Interprets repeated polls of one task. A single answer proves little: gateways lose rows and keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import assert_never

from batchrunner.core.model import Generation, TaskKey
from batchrunner.core.outcome import (
    UPSTREAM,
    GenerationFailed,
    InProgress,
    NotVisible,
    PollOutcome,
    QueryFailed,
    QueryRefused,
    Receipt,
    Succeeded,
)

UPSTREAM_ENDED = frozenset({"expired", "cancelled", "canceled", "failed"})
"""Upstream states that the gateway shows as in progress until its own timeout, a day later."""
UPSTREAM_ENDED_COUNT, UPSTREAM_ENDED_SECONDS = 3, 300.0
"""How often, and over how long, an ended upstream state must be seen before it is believed."""
NOT_VISIBLE_COUNT, NOT_VISIBLE_SECONDS = 3, 120.0
"""The same for `task_not_exist`."""
REFUSED_COUNT = 3


@dataclass(frozen=True, slots=True)
class GoOn:
    """Nothing is decided: poll again. `failures` counts polls in a row without a usable answer."""

    failures: int = 0
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Vanished:
    """The gateway doesn't know the task, or this key may not see it."""

    receipt: Receipt
    since: float = field(default=0.0, compare=False)
    """Nominal seconds: when it was first not seen."""


@dataclass(frozen=True, slots=True)
class QueriesRefused:
    """The key is not accepted for queries any more; the task itself goes on."""

    receipt: Receipt


Conclusion = GoOn | Succeeded | GenerationFailed | Vanished | QueriesRefused


@dataclass(slots=True)
class _Streak:
    """The same answer several times in a row, since when."""

    count: int = 0
    since: float = 0.0

    def add(self, now: float) -> None:
        if self.count == 0:
            self.since = now
        self.count += 1

    def reached(self, count: int, seconds: float, now: float) -> bool:
        return self.count >= count and now - self.since >= seconds


class PollTracker:
    """The polls of one task; `now` is nominal seconds."""

    def __init__(self) -> None:
        self._invisible = _Streak()
        self._ended = _Streak()
        self._refused = _Streak()
        self._failures = 0

    @property
    def is_counting(self) -> bool:
        """Whether the newest answers lead to a conclusion if they go on."""
        return any(streak.count for streak in (self._invisible, self._ended, self._refused))

    def record(self, answer: PollOutcome, now: float) -> Conclusion:
        """Take notice of an answer and say what is now known."""
        if not isinstance(answer, QueryFailed):
            self._failures = 0
        if not isinstance(answer, NotVisible | QueryFailed):
            self._invisible = _Streak()
        if not isinstance(answer, QueryRefused | QueryFailed):
            self._refused = _Streak()
        match answer:
            case Succeeded() | GenerationFailed():
                return answer
            case InProgress():
                return self._in_progress(answer, now)
            case NotVisible(receipt=receipt):
                self._invisible.add(now)
                reached = self._invisible.reached(NOT_VISIBLE_COUNT, NOT_VISIBLE_SECONDS, now)
                return Vanished(receipt, self._invisible.since) if reached else GoOn()
            case QueryRefused(receipt=receipt):
                self._refused.add(now)
                return QueriesRefused(receipt) if self._refused.count >= REFUSED_COUNT else GoOn()
            case QueryFailed(retry_after=retry_after):
                self._failures += 1
                return GoOn(self._failures, retry_after)
            case _:
                assert_never(answer)

    def _in_progress(self, answer: InProgress, now: float) -> Conclusion:
        if answer.upstream_status.lower() not in UPSTREAM_ENDED:
            self._ended = _Streak()
            return GoOn()
        self._ended.add(now)
        if not self._ended.reached(UPSTREAM_ENDED_COUNT, UPSTREAM_ENDED_SECONDS, now):
            return GoOn()
        # The code is ours, and the gateway hasn't refunded it yet: its money still counts as spent.
        return GenerationFailed(
            code=f"{UPSTREAM}{answer.upstream_status.lower()}",
            message=f"the model says {answer.upstream_status}; the gateway still says {answer.status}",
            finished_at=None,
            raw=answer.raw,
            refunded=False,
        )


def is_seen(answer: PollOutcome) -> bool:
    """Whether the gateway shows the task."""
    return isinstance(answer, InProgress | Succeeded | GenerationFailed)


class Sightings:
    """Which tasks the gateway shows with this key: one that it hides is gone only if it shows others."""

    def __init__(self) -> None:
        self._seen: dict[TaskKey, float] = {}
        self._vanished: set[TaskKey] = set()

    def record(self, key: TaskKey, answer: PollOutcome, now: float, is_sure: bool = True) -> None:
        """Take notice of an answer about a task; `now` is nominal seconds.

        `is_sure` is false for an id of which nobody knows whether the gateway has it: that it isn't shown
        says nothing about the key.
        """
        if is_seen(answer):
            self._seen[key] = now
            self._vanished.discard(key)
        elif isinstance(answer, NotVisible) and (is_sure or key in self._seen):
            self._vanished.add(key)

    def ever(self, key: TaskKey) -> bool:
        """Whether the task was ever seen in this run."""
        return key in self._seen

    def vouched(self, key: TaskKey, since: float) -> bool:
        """Whether another task of ours was seen since then, and has not vanished itself."""
        others = self._seen.keys() - self._vanished - {key}
        return any(self._seen[other] >= since for other in others)

    def is_gone(self, generation: Generation, since: float) -> bool:
        """Whether a task that hasn't been shown since then is gone, and not only hidden from this key.

        An id that a person gave and nobody ever saw says nothing about the key; where another task, which the
        gateway surely had, isn't shown either, it may be the wrong account all the same.
        """
        key = generation.key
        a_slip = generation.named and not self.ever(key) and not self._vanished - {key}
        return generation.given_up or a_slip or self.vouched(key, since)
