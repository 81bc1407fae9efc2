"""Groups what a run would do with the tasks of a plan, with the reasons and the cost of each group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from batchrunner.core.budget import WorstCase
from batchrunner.core.content import RequestForm
from batchrunner.core.forecast import Estimates, Forecast, forecast
from batchrunner.core.model import Request
from batchrunner.operations.plan_changes import SUBMITTED, Change, Step


class TaskCosts:
    """What each task that would be submitted can cost."""

    def __init__(self, estimates: Estimates) -> None:
        self._estimates = estimates
        self._known: dict[int, WorstCase] = {}
        """By the identity of a form, which many tasks share."""

    def of(self, step: Step) -> WorstCase | None:
        """The most that the task can be charged; None if it is not submitted."""
        if step.change not in SUBMITTED or step.form is None:
            return None
        if (known := self._known.get(id(step.form))) is None:
            known = self._estimates.most(step.form.request(None, None))
            self._known[id(step.form)] = known
        return known


@dataclass(slots=True)
class Group:
    """The tasks with which a run would do the same."""

    change: Change
    tasks: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """How many tasks each reason applies to; a task may have several, or none."""
    edited: list[str] = field(default_factory=list)
    """The IDs of changed tasks whose old version is paid for, or may be."""
    following: int = 0
    """How many of these have changed only in what they need of others."""
    steps: list[Step] = field(default_factory=list)
    """The tasks one by one, if they were asked for."""
    _forms: dict[int, RequestForm] = field(default_factory=dict)
    _times: Counter[int] = field(default_factory=Counter)
    """How many tasks have each form, by the form's identity, which `_forms` keeps."""

    def add(self, step: Step, keep: bool) -> None:
        """Add a task; `keep` it to show it by itself."""
        self.tasks += 1
        self.reasons.update(step.reasons)
        if step.is_paid:
            self.edited.append(step.id)
            self.following += step.follows
        if keep:
            self.steps.append(step)
        if self.change in SUBMITTED and step.form:
            self._forms[id(step.form)] = step.form
            self._times[id(step.form)] += 1

    def submitted(self) -> Iterator[tuple[Request, int]]:
        """The distinct requests that would be submitted, each with the number of its tasks."""
        for number, form in self._forms.items():
            yield form.request(None, None), self._times[number]

    def forecast(self, estimates: Estimates) -> Forecast:
        """What the group needs; nothing if it is not submitted."""
        return forecast(self.submitted(), estimates)

    def values(self, estimates: Estimates) -> dict[str, object]:
        """What `plan --json` shows."""
        needed = self.forecast(estimates)
        return {
            "change": self.change.value,
            "tasks": self.tasks,
            "reasons": dict(self.reasons.most_common()),
            "tokens": needed.tokens,
            "cost": needed.cost,
        }


def grouped(steps: Iterable[Step], keep: bool) -> dict[Change, Group]:
    """Every group, also those without tasks, in the order of `Change`; with `keep`, tasks one by one, too."""
    groups = {change: Group(change) for change in Change}
    for step in steps:
        groups[step.change].add(step, keep)
    return groups
