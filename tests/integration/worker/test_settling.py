"""What the ledger keeps of the gateway's quota: the hold while a task generates, and what it became."""

import json

import pytest

from batchrunner.core.model import RemoteId
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState

HOLD = 700_000


def shown(status: str, quota: int) -> bytes:
    """An answer to a poll."""
    made = {"usage": {"total_tokens": 108_900}} if status == "SUCCESS" else {"status": "running"}
    task = {"task_id": "task_A", "status": status, "quota": quota, "data": made}
    body = json.dumps({"code": "success", "message": "", "data": task}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    ("known", "answers", "charged"),
    [
        (None, [("IN_PROGRESS", HOLD), ("SUCCESS", 300_000)], 0.6),
        (None, [("IN_PROGRESS", HOLD), ("SUCCESS", HOLD)], None),
        (None, [("SUCCESS", 300_000)], None),  # maybe a hold that nobody has seen
        (HOLD, [("SUCCESS", 300_000)], 0.6),  # an earlier run saw the hold
    ],
)
def test_a_hold_is_told_from_a_charge(raw_shop, known, answers, charged):
    """Only a quota that differs from the hold is what the gateway charged; the hold outlives a run."""

    async def story(parts):
        (key,) = (task.key for task in await parts.ledger.tasks())
        attempt = await parts.ledger.claim(key, 1, None)
        facts = AttemptFacts(outcome="accepted", remote_id=RemoteId("task_A"), accepted_at=1.0, hold=known)
        await parts.ledger.move(key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=facts), attempt.id)
        await parts.worker.resume((await parts.tasks())["cat"], lambda: None)
        (found,) = await parts.ledger.attempts(key)
        return found

    found = raw_shop(story, [shown(*answer) for answer in answers], "cat")
    assert found["hold"] == (HOLD if known or len(answers) > 1 else None)
    assert (found["quota"], found["charged_usd"]) == (answers[-1][1], charged)
    assert (found["cost"], found["currency"]) == (0.60984, "USD")  # the manifest's price
