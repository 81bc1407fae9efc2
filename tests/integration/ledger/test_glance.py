"""What a ledger has paid for, seen from outside: by any version, for whatever state its tasks are in."""

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from batchrunner.core.model import RemoteId
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.ledger import LEDGER_NAME, Unreadable, begun, glance
from tests.harness.older_ledger import COMMITTED, LATER

ACCEPTED = Move(
    Event.ACCEPTED, TaskState.GENERATING, facts=AttemptFacts(outcome="accepted", remote_id=RemoteId("task_A"))
)
FAILED = Move(Event.GENERATION_FAILED, TaskState.FAILED, facts=AttemptFacts(tokens=0))
LOST = Move(Event.LOST, TaskState.FAILED)
UNKNOWN = Move(Event.UNKNOWN, TaskState.IN_DOUBT, facts=AttemptFacts(outcome="unknown"))
DECLARED_LOST = Move(Event.DECLARED_LOST, TaskState.PENDING, facts=AttemptFacts(outcome="lost"))
REJECTED = Move(Event.REJECTED, TaskState.FAILED, facts=AttemptFacts(outcome="rejected"))


@pytest.mark.parametrize(
    ("moves", "is_paid"),
    [
        ([], True),  # the POST may be in the air
        ([ACCEPTED], True),
        ([ACCEPTED, LOST], True),
        ([ACCEPTED, FAILED], False),  # refunded
        ([UNKNOWN], True),
        ([UNKNOWN, DECLARED_LOST], True),
        ([REJECTED], False),
    ],
)
def test_tasks_that_are_or_may_be_paid_for_are_counted(in_ledger, plan, tmp_path, moves, is_paid):
    """Everything but what was refused, or given back, by the gateway."""
    planned = plan("cat", "dog")

    async def story(ledger):
        await ledger.bind("https://gateway.example", planned)
        await ledger.reconcile(planned, frozenset())
        await ledger.claim(planned.tasks[0].key, None, None)
        for move in moves:
            await ledger.move(planned.tasks[0].key, move)

    in_ledger(story)
    seen = glance(tmp_path)
    assert seen
    assert seen.gateway == "https://gateway.example"
    assert seen.paid == Counter({planned.tasks[0].first: 1} if is_paid else {})


def test_tasks_that_were_begun_and_replicas_are_known(in_ledger, plan, want, tmp_path):
    """All but the pending ones, and the tasks of each request that the ledger or the plan has twice."""
    planned = plan("cat", "dog", want("a", "twin"), want("b", "twin"))
    keys = [task.key for task in planned.tasks]

    async def story(ledger):
        await ledger.reconcile(planned, frozenset())
        for key in (keys[0], keys[3]):
            await ledger.claim(key, None, None)

    in_ledger(story)
    seen = begun(tmp_path, frozenset({keys[1]}))
    assert seen
    assert seen.over == {keys[0], keys[3]}
    assert [(one.key, one.id) for one in seen.replicas] == [(keys[1], "dog"), (keys[2], "a"), (keys[3], "b")]


def test_ledger_of_the_first_version_is_read_as_it_is(in_ledger, plan, tmp_path):
    """Another run directory may not have been opened for long: nothing of it is brought up to date."""
    planned = plan("cat")

    async def story(ledger):
        await ledger.reconcile(planned, frozenset())
        await ledger.claim(planned.tasks[0].key, None, None)

    in_ledger(story)
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db:
        db.executescript(
            "ALTER TABLE attempts DROP COLUMN looked_up; DELETE FROM meta; PRAGMA user_version = 1"
        )
    seen = glance(tmp_path)
    assert seen
    assert seen.paid.total() == 1


@pytest.mark.parametrize("is_upgraded", [False, True])
def test_twins_in_a_ledger_of_the_third_version_are_known(in_ledger, plan, want, tmp_path, is_upgraded):
    """It did not store which tasks have the same request; an upgrade adds it."""
    planned = plan("cat", want("a", "twin"), want("b", "twin"))

    async def story(ledger):
        await ledger.reconcile(planned, frozenset())

    async def known(ledger):
        return await ledger.known(frozenset())

    in_ledger(story)
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db:
        added = ("task_removed", "task_moved", "task_changed", "attempt_changed")
        for trigger in (*added, "attempt_reserved", "attempt_settled"):
            db.execute(f"DROP TRIGGER {trigger}")
        for name in (*COMMITTED, *LATER, "worst_tokens", "worst_cost"):
            db.execute(f"ALTER TABLE attempts DROP COLUMN {name}")
        db.executescript(
            "DROP TABLE spending; "
            "DROP INDEX events_by_attempt; CREATE INDEX events_by_task ON events (task, id); "
            "DROP TABLE changes; DROP INDEX tasks_by_position; ALTER TABLE tasks DROP COLUMN first; "
            "PRAGMA user_version = 3"
        )
    if is_upgraded:
        assert [(one.id, one.first) for one in in_ledger(known)] == [
            ("a", planned.tasks[1].key),
            ("b", planned.tasks[1].key),
        ]
    seen = begun(tmp_path, frozenset())
    assert seen
    twins = list(planned.tasks)[1:]
    assert [(one.key, one.first) for one in seen.replicas] == [(one.key, one.first) for one in twins]


def test_another_file_is_ignored_and_a_damaged_ledger_is_an_error(tmp_path):
    """Another program's file is passed over; one that can't be read is an error to be judged."""
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db:
        db.executescript("PRAGMA application_id = 77; CREATE TABLE tasks (x)")
    assert glance(tmp_path) is None
    (tmp_path / LEDGER_NAME).write_bytes(b"not a database at all" * 400)
    with pytest.raises(Unreadable):
        glance(tmp_path)
