"""A person's word about tasks: what it may decide, and what it may not."""

import pytest

from batchrunner.core.errors import UsageError
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
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
