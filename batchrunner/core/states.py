"""The states of a task and all transitions between them. No other module defines transitions."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class TaskState(StrEnum):
    """The state of a task; stored, logged and shown as this word."""

    PENDING = "pending"
    """To be submitted, now or later."""
    SUBMITTING = "submitting"
    """The intent is on disk; the POST may have been sent."""
    IN_DOUBT = "in_doubt"
    """The gateway may or may not have accepted and charged it."""
    GENERATING = "generating"
    """The remote ID is on disk."""
    COLLECTING = "collecting"
    """The gateway has the video."""
    DONE = "done"
    """The video was verified and put in place; stays so even if the file is removed later."""
    UNCOLLECTED = "uncollected"
    """Paid for and generated, but not downloaded; retrying the download is free."""
    FAILED = "failed"
    """Needs the user."""


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
        # The gateway, a verified file, or only run.log shows an attempt missing from an outdated ledger.
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
        # An ID adopted by the user but unknown to the gateway was mistyped: the task is in doubt as before.
        _E.LOST: frozenset({_S.FAILED, _S.IN_DOUBT}),
    },
    _S.COLLECTING: {
        _E.COLLECTED: frozenset({_S.DONE}),
        # A task whose video was verified once stays done, even if downloading another copy fails.
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
        # Given up without a final answer from the gateway: polling again is free.
        _E.RECOLLECT: frozenset({_S.GENERATING}),
    },
}

PAID_FOR = frozenset({TaskState.GENERATING, TaskState.COLLECTING})
"""What a run resumes before it submits anything: the gateway has it, and its links soon expire."""

GENERATED = frozenset({TaskState.COLLECTING, TaskState.DONE, TaskState.UNCOLLECTED})
"""The generation has succeeded."""


class TransitionRefused(Exception):
    """The transition is not allowed; nothing was changed."""

    def __init__(self, state: TaskState, event: Event, to: TaskState) -> None:
        super().__init__(f"a task that is {state} can't become {to} by {event}")
        self.state, self.event, self.to = state, event, to


def check_transition(state: TaskState, event: Event, to: TaskState) -> None:
    """Check that a transition is allowed.

    Raises:
        TransitionRefused: the transition is not allowed.
    """
    if to not in TRANSITIONS[state].get(event, frozenset()):
        raise TransitionRefused(state, event, to)
