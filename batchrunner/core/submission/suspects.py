"""Decides whether a refusal is a problem of its task or of all tasks, from the answers to the others.

A refusal counts against its task only while others of the same model are accepted. It doesn't if none was,
if a task without earlier refusals is refused too, or if refused tasks turn out to be accepted later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import NotAdmitted, Refusal
from batchrunner.core.submission.backlog import Waiting

OWN_WAIT_LEAST = 5.0
"""Minimum seconds that a refused task waits while others go on."""
OWN_WAIT_FIRST, OWN_WAIT_CAP = 10.0, 300.0
"""Seconds: the upper bounds of the jitter added to it after the first refusal, and after many."""

SAYS_NOTHING = frozenset({Refusal.UNREACHABLE, Refusal.MODEL_UNAVAILABLE})
"""Refusals that would hit any request."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a refusal says about its task."""

    counts: bool = False
    """It counts against this task, which fails after a few of these."""
    wait: float = 0.0
    """Nominal seconds before the task may be retried."""
    spares_others: bool = False
    """By now it is known that only this task is refused: no other task needs to pause."""


def own_wait(tries: int, chance: float) -> float:
    """Seconds that a task waits after `tries` refusals (from 1): full jitter above a minimum."""
    return OWN_WAIT_LEAST + chance * min(OWN_WAIT_CAP, OWN_WAIT_FIRST * 2.0 ** min(tries - 1, 16))


@dataclass(slots=True)
class _Answers:
    """The answers to the tasks of one model in this run."""

    accepted: bool = False
    tries: dict[TaskKey, int] = field(default_factory=dict)
    """Consecutive refusals, by task."""
    refused_since: set[TaskKey] = field(default_factory=set)
    """Tasks refused since the last acceptance, except those in `known`."""
    struck: set[TaskKey] = field(default_factory=set)
    """Tasks with a refusal that counted."""
    known: set[TaskKey] = field(default_factory=set)
    """The same, if others were accepted since."""
    passed: int = 0
    """How often a task was accepted after a refusal."""
    passed_at: dict[TaskKey, int] = field(default_factory=dict)
    """The value of `passed` at a task's newest refusal."""


class Suspects:
    """Judges each refusal by the answers to others of the same model."""

    def __init__(self) -> None:
        self._models: dict[str, _Answers] = {}

    def accepted(self, task: Waiting) -> None:
        """A submission was accepted: tasks refused in the meantime have a problem of their own."""
        answers = self._models.setdefault(task.model, _Answers())
        answers.accepted = True
        if answers.tries.pop(task.key, 0):
            answers.passed += 1
        answers.struck.discard(task.key)
        answers.known.discard(task.key)
        answers.known |= answers.struck
        answers.refused_since.clear()

    def refused(self, task: Waiting, outcome: NotAdmitted, chance: float) -> Judgement:
        """A submission was not admitted; call once for each."""
        if outcome.why in SAYS_NOTHING:
            return Judgement()
        key, answers = task.key, self._models.setdefault(task.model, _Answers())
        tries = answers.tries[key] = answers.tries.get(key, 0) + 1
        others = answers.refused_since - {key}
        refusals_pass = answers.passed > answers.passed_at.get(key, answers.passed)
        # A refusal with Retry-After is the account's limit, whatever happens to other tasks.
        counts = answers.accepted and not others and not refusals_pass and outcome.retry_after is None
        spares_others = counts and key in answers.known
        answers.passed_at[key] = answers.passed
        if key not in answers.known:
            answers.refused_since.add(key)
        if counts:
            answers.struck.add(key)
        return Judgement(counts, own_wait(tries, chance), spares_others)
