"""The states of a task and all transitions between them. No other module defines transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """Where a task stands; stored, logged and shown as this word."""

    PENDING = "pending"
    """Wants a submission, now or later."""
    SUBMITTING = "submitting"
    """The intent is on disk; the POST may have left."""
    IN_DOUBT = "in_doubt"
    """Nobody knows whether the gateway accepted and charged it."""
    GENERATING = "generating"
    """The remote id is on disk."""
    COLLECTING = "collecting"
    """The gateway has the video."""
    DONE = "done"
    """The video was verified and put in place; whatever becomes of the file later."""
    UNCOLLECTED = "uncollected"
    """Paid and generated, but not fetched; fetching again is free."""
    FAILED = "failed"
    """Needs a person."""


class Event(StrEnum):
    """What happened to a task."""

    CLAIMED = "claimed"
    UNSENDABLE = "unsendable"
    ACCEPTED = "accepted"
    NOT_ADMITTED = "not_admitted"
    ACCOUNT_REFUSED = "account_refused"
    RELEASED = "released"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ADOPTED = "adopted"
    RECOVERED = "recovered"
    DECLARED_LOST = "declared_lost"
    SUCCEEDED = "succeeded"
    GENERATION_FAILED = "generation_failed"
    LOST = "lost"
    COLLECTED = "collected"
    UNCOLLECTABLE = "uncollectable"
    MISSING = "missing"
    RECOLLECT = "recollect"
    WANTED_AGAIN = "wanted_again"
    RETRIED = "retried"


_S, _E = TaskState, Event

TRANSITIONS: Mapping[TaskState, Mapping[Event, frozenset[TaskState]]] = {
    _S.PENDING: {
        _E.CLAIMED: frozenset({_S.SUBMITTING}),
        _E.UNSENDABLE: frozenset({_S.FAILED}),
        # The gateway, a verified file, or run.log alone shows an attempt that an older ledger does not know.
        _E.RECOVERED: frozenset({_S.GENERATING, _S.DONE, _S.IN_DOUBT}),
    },
    _S.SUBMITTING: {
        _E.ACCEPTED: frozenset({_S.GENERATING}),
        _E.NOT_ADMITTED: frozenset({_S.PENDING}),
        _E.ACCOUNT_REFUSED: frozenset({_S.PENDING}),
        _E.RELEASED: frozenset({_S.PENDING}),
        _E.REJECTED: frozenset({_S.FAILED}),
        _E.UNKNOWN: frozenset({_S.IN_DOUBT}),
    },
    _S.IN_DOUBT: {
        _E.ADOPTED: frozenset({_S.GENERATING}),
        _E.DECLARED_LOST: frozenset({_S.PENDING}),
    },
    _S.GENERATING: {
        _E.SUCCEEDED: frozenset({_S.COLLECTING}),
        _E.GENERATION_FAILED: frozenset({_S.PENDING, _S.FAILED}),
        # An id that a person adopted and the gateway doesn't know was a slip: the doubt is what it was.
        _E.LOST: frozenset({_S.FAILED, _S.IN_DOUBT}),
    },
    _S.COLLECTING: {
        _E.COLLECTED: frozenset({_S.DONE}),
        # A video that was verified once stays done, though a further copy could not be fetched.
        _E.UNCOLLECTABLE: frozenset({_S.UNCOLLECTED, _S.DONE}),
    },
    _S.DONE: {
        _E.MISSING: frozenset({_S.COLLECTING}),
        _E.WANTED_AGAIN: frozenset({_S.PENDING}),
    },
    _S.UNCOLLECTED: {
        _E.RECOLLECT: frozenset({_S.COLLECTING}),
        _E.WANTED_AGAIN: frozenset({_S.PENDING}),
    },
    _S.FAILED: {
        _E.RETRIED: frozenset({_S.PENDING}),
        # Given up without a last word of the gateway's: looking again is free.
        _E.RECOLLECT: frozenset({_S.GENERATING}),
    },
}

PAID_FOR = frozenset({TaskState.GENERATING, TaskState.COLLECTING})
"""What a run goes on with before it submits anything: the gateway has it, and its links do not live long."""


class TransitionRefused(Exception):
    """The table has no such way; nothing was changed."""

    def __init__(self, state: TaskState, event: Event, to: TaskState) -> None:
        super().__init__(f"a task that is {state} can't become {to} by {event}")
        self.state, self.event, self.to = state, event, to


def check_transition(state: TaskState, event: Event, to: TaskState) -> None:
    """Pass if the table allows it.

    Raises:
        TransitionRefused: it doesn't.
    """
    if to not in TRANSITIONS[state].get(event, frozenset()):
        raise TransitionRefused(state, event, to)
