"""State changes after a submission. Randomness and time are arguments."""

from __future__ import annotations

from typing import assert_never

from batchrunner.core.outcome import (
    Accepted,
    AccountRefused,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from batchrunner.core.policy.moves import LAST_ANSWER_BYTES, AttemptFacts, Move
from batchrunner.core.states import Event, TaskState

MAX_REFUNDED = 2
"""How often a task is resubmitted after the gateway released its hold, before the user must act."""
MAX_REFUSED = 4
"""The same after it was not admitted. Both count only refusals that other tasks of its model don't get."""

BACKOFF_FIRST, BACKOFF_CAP = 5.0, 120.0
"""Seconds: the upper bounds of the first and of the longest wait."""


def backoff(attempt: int, chance: float) -> float:
    """Full jitter: a wait from 0 to a bound that doubles. `attempt` counts from 1, `chance` is in [0, 1)."""
    return chance * min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** min(attempt - 1, 16))


def after_submit(
    outcome: SubmitOutcome, *, now: float, counts: bool, refused_before: int, wait: float
) -> Move:
    """The move after the outcome of a POST.

    `counts` says that a refusal counts against the task, `refused_before` how many did before; `wait` is how
    many seconds a pending task must wait; `now` is Unix time.
    """
    receipt = outcome.receipt
    facts = AttemptFacts(
        outcome=type(outcome).__name__.lower(),
        http_status=receipt.status,
        request_id=receipt.request_id,
        last_answer=receipt.message[:LAST_ANSWER_BYTES] or None,
    )
    match outcome:
        case Accepted(remote_id=remote_id):
            facts = AttemptFacts(
                outcome=facts.outcome,
                remote_id=remote_id,
                http_status=receipt.status,
                request_id=receipt.request_id,
                accepted_at=now,
            )
            return Move(Event.ACCEPTED, TaskState.GENERATING, facts=facts)
        case NotAdmitted(why=why):
            if counts and refused_before >= (MAX_REFUNDED if why is Refusal.REFUNDED else MAX_REFUSED):
                return _ended(Event.REJECTED, TaskState.FAILED, receipt, facts)
            return Move(
                Event.NOT_ADMITTED,
                TaskState.PENDING,
                error_code=receipt.code or why.value,
                error_message=receipt.message,
                not_before=now + wait,
                refused=counts,
                facts=facts,
            )
        case AccountRefused():
            return _ended(Event.ACCOUNT_REFUSED, TaskState.PENDING, receipt, facts)
        case Rejected():
            return _ended(Event.REJECTED, TaskState.FAILED, receipt, facts)
        case Unknown():
            return _ended(Event.UNKNOWN, TaskState.IN_DOUBT, receipt, facts)
        case _:
            assert_never(outcome)


def _ended(event: Event, to: TaskState, receipt: Receipt, facts: AttemptFacts) -> Move:
    code = receipt.code or (f"http_{receipt.status}" if receipt.status else "no_answer")
    return Move(event, to, error_code=code, error_message=receipt.message, facts=facts)
