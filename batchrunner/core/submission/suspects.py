"""Decides whether a refused submission is a problem of its task or of all tasks, from how others fare.

A refusal counts against its task only while others of the same model are accepted. It doesn't where
nobody was, where a task that was never in trouble is refused too, or where refusals turn out to pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import NotAdmitted, Refusal
from batchrunner.core.submission.backlog import Waiting

OWN_WAIT_LEAST = 5.0
"""Seconds that a refused task stays behind the others at least."""
OWN_WAIT_FIRST, OWN_WAIT_CAP = 10.0, 300.0
"""Seconds: the upper bound of what chance adds to it after the first refusal, and after many."""

SAYS_NOTHING = frozenset({Refusal.UNREACHABLE, Refusal.MODEL_UNAVAILABLE})
"""Refusals that no request of any task could have avoided."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a refusal says about its task."""

    counts: bool = False
    """Only this task has it: after a few of these it fails."""
    wait: float = 0.0
    """Nominal seconds before it may be tried again."""
    spares_others: bool = False
    """It is known by now that only this task is refused: nobody else needs to pause for it."""


def own_wait(tries: int, chance: float) -> float:
    """How long a task stays behind the others after `tries` refusals (from 1): full jitter above a floor."""
    return OWN_WAIT_LEAST + chance * min(OWN_WAIT_CAP, OWN_WAIT_FIRST * 2.0 ** min(tries - 1, 16))


@dataclass(slots=True)
class _Answers:
    """What the tasks of one model were answered in this run."""

    accepted: bool = False
    tries: dict[TaskKey, int] = field(default_factory=dict)
    """Refusals in a row, by task."""
    refused_since: set[TaskKey] = field(default_factory=set)
    """Tasks refused since the last acceptance that had not been in trouble before it."""
    struck: set[TaskKey] = field(default_factory=set)
    """Tasks with a refusal that counted."""
    known: set[TaskKey] = field(default_factory=set)
    """The same, where others were accepted since."""
    passed: int = 0
    """How often a task was accepted that had been refused before."""
    passed_at: dict[TaskKey, int] = field(default_factory=dict)
    """What `passed` was at a task's newest refusal."""


class Suspects:
    """Judges each refusal by the answers to others of the same model."""

    def __init__(self) -> None:
        self._models: dict[str, _Answers] = {}

    def accepted(self, task: Waiting) -> None:
        """A submission was accepted: who is refused meanwhile has a trouble of its own."""
        answers = self._models.setdefault(task.model, _Answers())
        answers.accepted = True
        if answers.tries.pop(task.key, 0):
            answers.passed += 1
        answers.struck.discard(task.key)
        answers.known.discard(task.key)
        answers.known |= answers.struck
        answers.refused_since.clear()

    def refused(self, task: Waiting, outcome: NotAdmitted, chance: float) -> Judgement:
        """A submission was not admitted; asked once for each."""
        if outcome.why in SAYS_NOTHING:
            return Judgement()
        key, answers = task.key, self._models.setdefault(task.model, _Answers())
        tries = answers.tries[key] = answers.tries.get(key, 0) + 1
        others = answers.refused_since - {key}
        refusals_pass = answers.passed > answers.passed_at.get(key, answers.passed)
        # One that names a time is the account's limit, whatever others get meanwhile.
        counts = answers.accepted and not others and not refusals_pass and outcome.retry_after is None
        spares_others = counts and key in answers.known
        answers.passed_at[key] = answers.passed
        if key not in answers.known:
            answers.refused_since.add(key)
        if counts:
            answers.struck.add(key)
        return Judgement(counts, own_wait(tries, chance), spares_others)
