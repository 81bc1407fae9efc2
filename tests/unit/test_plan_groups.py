"""The groups of a plan: how many tasks, why, and what they cost."""

from batchrunner.core.content import RequestForm
from batchrunner.core.forecast import Estimates
from batchrunner.core.model import Pricing
from batchrunner.core.plan import WantedTask
from batchrunner.manifest import load_limits
from batchrunner.operations.plan_changes import Change, Step
from batchrunner.operations.plan_groups import grouped
from tests.harness.plans import wanted_task

LIMITS = load_limits()


def form() -> RequestForm:
    task: WantedTask = wanted_task({"model": "dreamina-seedance-2-0-fast", "prompt": "a", "duration": 5})
    return task.content.form


def step(change: Change, *reasons: str, is_paid: bool = False, task_id: str = "a") -> Step:
    return Step(change, task_id, "k", "why", "m.yaml:1", form(), reasons, is_paid)


def test_reasons_are_counted() -> None:
    """A task that differs in two fields counts for both."""
    steps = [step(Change.CHANGED, "prompt", "metadata.seed"), step(Change.CHANGED, "prompt")]
    group = grouped([*steps, step(Change.FAILED, "Moderated")], keep=False)[Change.CHANGED]
    assert (group.tasks, group.reasons) == (2, {"prompt": 2, "metadata.seed": 1})
    assert group.steps == []


def test_only_what_is_submitted_costs() -> None:
    """Failed tasks cost nothing until they are retried."""
    groups = grouped([step(Change.NEW), step(Change.NEW), step(Change.FAILED, "x")], keep=True)
    estimates = Estimates(LIMITS, Pricing())
    new, failed = (groups[change].values(estimates) for change in (Change.NEW, Change.FAILED))
    one = grouped([step(Change.NEW)], False)[Change.NEW].forecast(estimates)
    assert new["tokens"] == 2 * one.tokens
    assert (failed["tasks"], failed["tokens"], failed["cost"]) == (1, 0, 0.0)
    assert [len(group.steps) for group in groups.values() if group.tasks] == [2, 1]


def test_edited_tasks_whose_old_version_is_paid_are_named() -> None:
    """By their IDs."""
    steps = [step(Change.CHANGED, "prompt", is_paid=True, task_id="bee"), step(Change.CHANGED, "prompt")]
    assert grouped(steps, keep=False)[Change.CHANGED].edited == ["bee"]
