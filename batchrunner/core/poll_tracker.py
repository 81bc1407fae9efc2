"""Interprets repeated polls of a task. A single answer proves little: gateways lose rows and keys."""

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
"""Final upstream states that the gateway reports as in progress until its own timeout, a day later."""
UPSTREAM_ENDED_COUNT, UPSTREAM_ENDED_SECONDS = 3, 300.0
"""How often, and over how long, a final upstream state must be seen before it is trusted."""
NOT_VISIBLE_COUNT, NOT_VISIBLE_SECONDS = 3, 120.0
"""The same for `task_not_exist`."""
REFUSED_COUNT = 3


@dataclass(frozen=True, slots=True)
class GoOn:
    """No conclusion yet: poll again. `failures` counts consecutive polls without a usable answer."""

    failures: int = 0
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Vanished:
    """The gateway doesn't know the task, or this key may not see it."""

    receipt: Receipt
    since: float = field(default=0.0, compare=False)
    """When it was first missing (nominal seconds)."""


@dataclass(frozen=True, slots=True)
class QueriesRefused:
    """The key is no longer accepted for queries; the task itself continues."""

    receipt: Receipt


Conclusion = GoOn | Succeeded | GenerationFailed | Vanished | QueriesRefused


@dataclass(slots=True)
class _Streak:
    """How often in a row the same answer came, and since when."""

    count: int = 0
    since: float = 0.0

    def add(self, now: float) -> None:
        if self.count == 0:
            self.since = now
        self.count += 1

    def reached(self, count: int, seconds: float, now: float) -> bool:
        return self.count >= count and now - self.since >= seconds


class PollTracker:
    """Tracks the polls of one task; `now` is in nominal seconds."""

    def __init__(self) -> None:
        self._invisible = _Streak()
        self._ended = _Streak()
        self._refused = _Streak()
        self._failures = 0

    @property
    def is_counting(self) -> bool:
        """Whether more answers like the newest ones would lead to a conclusion."""
        return any(streak.count for streak in (self._invisible, self._ended, self._refused))

    def record(self, answer: PollOutcome, now: float) -> Conclusion:
        """Record an answer and return what it concludes."""
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
        # The code is ours, and the gateway hasn't refunded it yet, so its cost still counts as spent.
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
    """Which tasks the gateway shows to this key: a missing one is gone only if others are shown."""

    def __init__(self) -> None:
        self._seen: dict[TaskKey, float] = {}
        self._vanished: set[TaskKey] = set()

    def record(self, key: TaskKey, answer: PollOutcome, now: float, is_sure: bool = True) -> None:
        """Record an answer about a task; `now` is in nominal seconds.

        `is_sure` is false for an ID that the gateway may not have: if it isn't shown, that says nothing
        about the key.
        """
        if is_seen(answer):
            self._seen[key] = now
            self._vanished.discard(key)
        elif isinstance(answer, NotVisible) and (is_sure or key in self._seen):
            self._vanished.add(key)

    def ever(self, key: TaskKey) -> bool:
        """Whether the task has been seen in this run."""
        return key in self._seen

    def vouched(self, key: TaskKey, since: float) -> bool:
        """Whether another of our tasks has been seen since then and has not vanished itself."""
        others = self._seen.keys() - self._vanished - {key}
        return any(self._seen[other] >= since for other in others)

    def is_gone(self, generation: Generation, since: float) -> bool:
        """Whether a task missing since then is gone, not just hidden from this key.

        An ID set by the user and never seen was probably mistyped, and says nothing about the key; but if a
        task that the gateway certainly had is missing too, the key may belong to the wrong account.
        """
        key = generation.key
        a_slip = generation.named and not self.ever(key) and not self._vanished - {key}
        return generation.given_up or a_slip or self.vouched(key, since)
