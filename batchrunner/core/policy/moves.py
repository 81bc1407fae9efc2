"""The `Move` type, and the moves that need no arguments."""

from __future__ import annotations

from dataclasses import dataclass, field

from batchrunner.core.model import RemoteId
from batchrunner.core.states import Event, TaskState

ADOPTED = "adopted"
"""The outcome of an attempt whose remote ID did not come from the answer to its POST."""
RECOVERED = "recovered"
"""The outcome of an attempt missing from the ledger and found at the gateway or through a file."""
NAMED = "named"
"""The same, but set by the user and not shown by the gateway yet: once it is, this becomes `ADOPTED`."""
GIVEN_UP = "given_up"
"""The outcome of an attempt that failed without a final answer from the gateway, and is polled once more."""
UNSENDABLE = "unsendable"
"""Our code for a request that can't be built."""
LAST_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """New facts about an attempt; None leaves the ledger unchanged. Times are Unix seconds."""

    outcome: str | None = None
    remote_id: RemoteId | None = None
    http_status: int | None = None
    request_id: str | None = None
    accepted_at: float | None = None
    finished_at: float | None = None
    generation_seconds: float | None = None
    tokens: int | None = None
    cost: float | None = None
    currency: str | None = None
    hold: int | None = None
    quota: int | None = None
    charged_usd: float | None = None
    result_url: str | None = None
    last_frame_url: str | None = None
    last_answer: str | None = None
    collected_at: float | None = None
    size: int | None = None
    sha256: str | None = None
    duration: float | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    last_frame_file: str | None = None
    looked_up: str | None = None
    candidates: str | None = None
    content_dead_at: float | None = None
    link_dead_at: float | None = None
    file_state: str | None = None
    file_seen: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A decision: the event, the task's new state, and what to record with it."""

    event: Event
    to: TaskState
    error_code: str = ""
    error_message: str = ""
    warnings: tuple[str, ...] = ()
    not_before: float | None = None
    """Earliest time at which a pending task may be claimed (Unix seconds)."""
    forget_remote_id: bool = False
    """The attempt's remote ID turned out to be wrong."""
    refused: bool = False
    """Count one more refusal against this task."""
    facts: AttemptFacts = field(default_factory=AttemptFacts)


INTERRUPTED = Move(
    Event.UNKNOWN,
    TaskState.IN_DOUBT,
    error_code="interrupted",
    error_message="the program ended before the submission was answered",
    facts=AttemptFacts(outcome="unknown"),
)
"""A crash left a submission without an outcome."""

SUBMISSION_LOST_TRACK_OF = Move(
    Event.RECOVERED,
    TaskState.IN_DOUBT,
    error_code="interrupted",
    error_message="run.log says that it was submitted, but its outcome is unknown",
)
"""A submission is recorded only in run.log."""

CLAIMED = Move(Event.CLAIMED, TaskState.SUBMITTING)
"""The intent to submit is written; the POST follows."""
RELEASED = Move(Event.RELEASED, TaskState.PENDING, facts=AttemptFacts(outcome="released"))
"""The POST was not sent after all."""
RETRIED = Move(Event.RETRIED, TaskState.PENDING)
"""The user wants a failed task submitted again."""
WANTED_AGAIN = Move(Event.WANTED_AGAIN, TaskState.PENDING)
"""The user wants another version of a video."""
DECLARED_LOST = Move(Event.DECLARED_LOST, TaskState.PENDING, facts=AttemptFacts(outcome="lost"))
"""A submission in doubt is declared not accepted."""
FOUND_GENERATING = Move(Event.RECOVERED, TaskState.GENERATING)
"""The gateway shows an attempt missing from the ledger."""
FOUND_DONE = Move(Event.RECOVERED, TaskState.DONE)
"""A verified file shows an attempt missing from the ledger."""
FETCH_AGAIN = Move(Event.MISSING, TaskState.COLLECTING)
"""The user wants the missing file of a finished video downloaded again."""
COLLECT_AGAIN = Move(Event.RECOLLECT, TaskState.COLLECTING)
"""An uncollected video is downloaded once more."""
POLL_AGAIN = Move(Event.RECOLLECT, TaskState.GENERATING, facts=AttemptFacts(outcome=GIVEN_UP))
"""A task that failed without a final answer is polled once more."""


def unsendable(why: str, code: str = UNSENDABLE) -> Move:
    """The request can't be built: a local file changed, or what it needs of another task can't be had."""
    return Move(Event.UNSENDABLE, TaskState.FAILED, error_code=code, error_message=why)


def adopted(remote_id: RemoteId, accepted_at: float | None, *, named: bool = False) -> Move:
    """A submission in doubt was accepted under this ID; `named` if only the user says so."""
    outcome = NAMED if named else ADOPTED
    facts = AttemptFacts(outcome=outcome, remote_id=remote_id, accepted_at=accepted_at)
    return Move(Event.ADOPTED, TaskState.GENERATING, facts=facts)
