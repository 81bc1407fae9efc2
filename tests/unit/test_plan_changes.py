"""What a run would do with each task, and why."""

import pytest

from batchrunner.core.model import Plan
from batchrunner.core.plan import WantedTask
from batchrunner.core.request import digest_form
from batchrunner.core.states import TaskState
from batchrunner.ledger import Standing, TaskRecord
from batchrunner.operations.plan_changes import SUBMITTED, Change, Step, compare
from tests.harness.plans import plan_tasks, wanted_task


def wanted(task_id: str, prompt: str = "a cat", **metadata) -> WantedTask:
    return wanted_task({"model": "fast", "prompt": prompt, "metadata": metadata}, id=task_id)


def plan(*tasks: WantedTask) -> Plan:
    return Plan("night", "/a/night.yaml", plan_tasks(tasks))


def known(
    old: Plan, state: TaskState = TaskState.DONE, code: str = "", planned: bool = True
) -> list[TaskRecord]:
    """A ledger in which every task of an earlier plan is in `state`."""
    return [
        TaskRecord(
            key=task.key,
            position=task.position if planned else None,
            id=task.id,
            file_name=f"videos/{task.id}.mp4",
            source="old.yaml:1",
            request=digest_form(task.request),
            inputs=(),
            labels={},
            state=state,
            attempts=1,
            refused=0,
            not_before=None,
            error_code=code,
            error_message="",
            warnings=(),
            attempt=None,
        )
        for task in old.tasks
    ]


def changes(new: Plan, records: list[TaskRecord]) -> list[Step]:
    """The steps of a plan with a ledger in which these tasks are."""
    standing = {one.key: Standing(one.state, one.error_code, one.position is not None) for one in records}
    gone = [one for one in records if one.position is not None and new.tasks.find(one.key) is None]
    return list(compare(new.tasks, standing, gone))


def test_every_task_is_new_to_an_empty_ledger():
    """Without a ledger each task is new, in the order of the plan."""
    steps = changes(plan(wanted("a"), wanted("b", "a dog")), [])
    assert [(step.change, step.id) for step in steps] == [(Change.NEW, "a"), (Change.NEW, "b")]


@pytest.mark.parametrize(
    ("state", "change"),
    [
        (TaskState.PENDING, Change.PENDING),
        (TaskState.SUBMITTING, Change.IN_DOUBT),
        (TaskState.IN_DOUBT, Change.IN_DOUBT),
        (TaskState.GENERATING, Change.UNDER_WAY),
        (TaskState.COLLECTING, Change.UNDER_WAY),
        (TaskState.UNCOLLECTED, Change.UNDER_WAY),
        (TaskState.DONE, Change.DONE),
        (TaskState.FAILED, Change.FAILED),
    ],
)
def test_a_known_task_goes_on_where_it_stands(state, change):
    """What a run would do with a known task follows from its state alone."""
    old = plan(wanted("a"))
    (step,) = changes(old, known(old, state))
    assert step.change is change
    assert (change in SUBMITTED) == (state is TaskState.PENDING)


def test_every_state_has_a_step():
    """No state is forgotten, and only what has to be paid for counts as submitted."""
    old = plan(wanted("a"))
    for state in TaskState:
        assert len(changes(old, known(old, state))) == 1
    assert {Change.NEW, Change.CHANGED, Change.PENDING} == set(SUBMITTED)


def test_a_task_that_waits_says_for_what():
    """State and code of a task that a person has to look at are the reason."""
    old = plan(wanted("a"))
    (step,) = changes(old, known(old, TaskState.IN_DOUBT, code="timeout"))
    assert step.why == "in doubt timeout"


def test_a_changed_prompt_costs_one_task():
    """One edited prompt: that task is changed, and the plan says in what; the others are done."""
    old = plan(wanted("a"), wanted("b", "a dog"), wanted("c", "a fox"))
    new = plan(wanted("a"), wanted("b", "a wolf"), wanted("c", "a fox"))
    steps = changes(new, known(old))
    assert [step.change for step in steps] == [Change.DONE, Change.CHANGED, Change.DONE]
    assert steps[1].why == "differs in prompt; the old video is kept"


def test_a_change_below_is_named_by_its_path():
    """Several differences are named, those within `metadata` by their path."""
    old, new = plan(wanted("a", seed=1)), plan(wanted("a", "a dog", seed=2, ratio="1:1"))
    step = changes(new, known(old))[0]
    assert step.why == "differs in prompt, metadata.seed, metadata.ratio; the old video is kept"


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [("", "", Change.CHANGED), ("ant", "ant", Change.CHANGED), ("ant", "bee", Change.NEW)],
)
def test_only_a_generated_id_leaves_it_to_the_place_what_a_task_was(before, after, change):
    """Another row with an ID of its own may stand where a removed one stood."""
    old = plan(wanted(before)._replace(source="rows.csv: row 3"))
    new = plan(wanted(after, "a dog")._replace(source="rows.csv: row 3"))
    records = [one._replace(source="rows.csv: row 3") for one in known(old)]
    assert changes(new, records)[0].change is change


def test_reordering_and_renaming_cost_nothing():
    """The same requests in another order, under other ids, are done."""
    old = plan(wanted("a"), wanted("b", "a dog"))
    new = plan(wanted("dog", "a dog"), wanted("cat"))
    assert [(step.change, step.id) for step in changes(new, known(old))] == [
        (Change.DONE, "dog"),
        (Change.DONE, "cat"),
    ]


def test_one_more_of_the_same_is_one_new_task():
    """Wanting a request once more costs one task, and the first one stays done."""
    old, new = plan(wanted("a")), plan(wanted("a"), wanted("b"))
    assert [step.change for step in changes(new, known(old))] == [Change.DONE, Change.NEW]


def test_a_removed_task_is_reported_once():
    """A task that is no longer wanted is told as removed when it goes, and not again in later runs."""
    old, new = plan(wanted("a"), wanted("b", "a dog")), plan(wanted("a"))
    gone = [step for step in changes(new, known(old)) if step.change is Change.REMOVED]
    assert gone == [
        Step(Change.REMOVED, "b", old.tasks[1].key, "was done", "old.yaml:1", reasons=("was done",))
    ]
    later = [*known(new), *known(plan(wanted("b", "a dog")), planned=False)]
    assert [step.change for step in changes(new, later)] == [Change.DONE]


def test_adding_a_removed_task_again_costs_nothing():
    """What was paid for and removed is done when it is wanted again."""
    old = plan(wanted("a"))
    assert [step.change for step in changes(old, known(old, planned=False))] == [Change.DONE]
