"""Generations of earlier runs, taken up again."""

from __future__ import annotations

from batchrunner.clock import Clock
from batchrunner.core.model import Generation
from batchrunner.core.policy import ADOPTED, GIVEN_UP, NAMED
from batchrunner.ledger import TaskRecord


def resumed(record: TaskRecord, clock: Clock) -> Generation:
    """The generation of a task that an earlier run submitted, or that was adopted."""
    if record.attempt is None or record.remote_id is None:
        raise AssertionError(f"{record.id} is {record.state} without a remote id")
    accepted_at = record.accepted_at or record.submitted_at or clock.wall()
    adopted = record.outcome in (ADOPTED, NAMED)
    return Generation(
        record.key,
        record.attempt,
        record.remote_id,
        accepted_at,
        # An adopted task gets its full deadline from now on, however long ago it was submitted.
        clock.now() - (0.0 if adopted else clock.since(accepted_at)),
        record.request,
        record.seed,
        adopted=record.outcome == ADOPTED,
        named=record.outcome == NAMED,
        given_up=record.outcome == GIVEN_UP,
        hold=record.hold,
    )
