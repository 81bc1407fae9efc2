"""A person's word about tasks: what it may decide, and what it may not."""

import pytest

from batchrunner.core.errors import UsageError
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState, TransitionRefused
from batchrunner.operations import overrides


def in_state(event, to, **facts):
    return Move(event, to, facts=AttemptFacts(**facts))


def test_an_id_that_is_another_attempts_is_not_adopted(in_ledger, filled):
    """One video can't be two tasks': the person is told, and nothing is changed."""
    ours, doubt = filled("ours", "doubt")

    async def story(ledger):
        for key, move in (
            (ours, in_state(Event.ACCEPTED, TaskState.GENERATING, remote_id="task_0001")),
            (doubt, in_state(Event.UNKNOWN, TaskState.IN_DOUBT, outcome="unknown")),
        ):
            await ledger.claim(key, 1, None)
            await ledger.move(key, move)
        with pytest.raises(UsageError, match="belongs to another attempt"):
            await overrides.adopt(ledger, await ledger.task(doubt), "task_0001")
        with pytest.raises(UsageError, match="is not a remote ID"):
            await overrides.adopt(ledger, await ledger.task(doubt), "../etc")
        await overrides.adopt(ledger, await ledger.task(doubt), "task_0002")
        return await ledger.task(doubt)

    task = in_ledger(story)
    assert (task.state, task.remote_id, task.outcome) == ("generating", "task_0002", "named")


def finished(name):
    return (
        in_state(Event.ACCEPTED, TaskState.GENERATING, remote_id=f"task_{name}"),
        in_state(Event.SUCCEEDED, TaskState.COLLECTING, finished_at=1.0),
        in_state(Event.COLLECTED, TaskState.DONE, collected_at=2.0),
    )


@pytest.mark.parametrize("decision", ["again", "retry"])
def test_of_many_tasks_all_are_changed_or_none(in_ledger, filled, decision):
    """Thousands are changed at once: a kill, or one that may not be changed, leaves no half of them."""
    keys = filled("one", "two", "three")
    endings = {
        "again": lambda key: finished(key[-8:]),
        "retry": lambda key: [in_state(Event.REJECTED, TaskState.FAILED)],
    }

    async def decide(ledger, chosen):
        tasks = [await ledger.task(key) for key in chosen]
        if decision == "again":
            await overrides.want_again(ledger, tasks, frozenset({"videos/two-v2.mp4"}), now=3.0)
        else:
            await overrides.retry(ledger, tasks)

    async def story(ledger):
        for key in keys[:2]:
            await ledger.claim(key, None, lambda run, task, number, salt: hash((task, salt)))
            for move in endings[decision](key):
                await ledger.move(key, move)
        with pytest.raises(TransitionRefused):
            await decide(ledger, keys)
        refused = [(await ledger.task(key)).state for key in keys]
        await decide(ledger, keys[:2])
        return refused, [await ledger.task(key) for key in keys]

    before = TaskState.DONE if decision == "again" else TaskState.FAILED
    refused, tasks = in_ledger(story)
    assert refused == [before, before, TaskState.PENDING]
    assert {task.state for task in tasks} == {TaskState.PENDING}
    new = (
        ["videos/one-v2.mp4", "videos/two-v2-2.mp4"]
        if decision == "again"
        else ["videos/one.mp4", "videos/two.mp4"]
    )
    assert [task.file_name for task in tasks] == [*new, "videos/three.mp4"]
