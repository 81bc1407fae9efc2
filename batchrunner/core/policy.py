"""Decisions about one task: what an outcome does to it, and when to look again. Chance is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from batchrunner.core.model import Generation, Pricing, RemoteId, RunSettings
from batchrunner.core.outcome import (
    Accepted,
    AccountRefused,
    GenerationFailed,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    SubmitOutcome,
    Succeeded,
    Unknown,
)
from batchrunner.core.states import Event, TaskState

MAX_REFUNDED = 2
"""How often a task whose submission the gateway took back is sent again before a person must look."""
MAX_REFUSED = 4
"""The same for one that was not admitted. Both count only what others of its model are not refused."""

BACKOFF_FIRST, BACKOFF_CAP = 5.0, 120.0
"""Seconds: the first wait's upper bound, and the last one's."""

STRAGGLER_INTERVAL = 240.0
"""Seconds between polls of a task that is over its deadline."""

UPSTREAM_ENDED = frozenset({"expired", "cancelled", "canceled", "failed"})
"""Upstream states that the gateway shows as in progress until its own timeout, a day later."""

UPSTREAM = "upstream_"
"""What our own code for such an end begins with."""
NOT_VISIBLE = "task_not_exist"
"""The gateway's code for a task that it doesn't know."""
UPSTREAM_ENDED_COUNT, UPSTREAM_ENDED_SECONDS = 3, 300.0
"""How often, and over how long, an ended upstream state must be seen before it is believed."""

NOT_VISIBLE_COUNT, NOT_VISIBLE_SECONDS = 3, 120.0
"""The same for `task_not_exist`."""

ADOPTED = "adopted"
"""The outcome of an attempt whose remote id did not come as the answer to its POST."""
RECOVERED = "recovered"
"""The outcome of an attempt that the ledger did not know, and the gateway or a witness showed."""
NAMED = "named"
"""The same, given by a person and not shown by the gateway yet: once it is, this becomes `ADOPTED`."""
GIVEN_UP = "given_up"
"""The outcome of an attempt that failed without a last word of the gateway's, and is looked at once more."""
LAST_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What became known of an attempt; None leaves the ledger as it is. Times are Unix seconds."""

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
    """A decision: this event takes the task there, and this is to be recorded with it."""

    event: Event
    to: TaskState
    error_code: str = ""
    error_message: str = ""
    warnings: tuple[str, ...] = ()
    not_before: float | None = None
    """Unix seconds before which a pending task may not be claimed."""
    forget_remote_id: bool = False
    """The attempt's remote id turned out to be wrong."""
    refused: bool = False
    """Counts one more refusal that only this task had."""
    facts: AttemptFacts = field(default_factory=AttemptFacts)


INTERRUPTED = Move(
    Event.UNKNOWN,
    TaskState.IN_DOUBT,
    error_code="interrupted",
    error_message="the program ended while the submission was in the air",
    facts=AttemptFacts(outcome="unknown"),
)
"""What a crash makes of a submission without an outcome."""


def backoff(attempt: int, chance: float) -> float:
    """Full jitter: a wait between 0 and a bound that doubles. `attempt` from 1, `chance` in [0, 1)."""
    return chance * min(BACKOFF_CAP, BACKOFF_FIRST * 2.0 ** min(attempt - 1, 16))


def after_submit(
    outcome: SubmitOutcome, *, now: float, counts: bool, refused_before: int, wait: float
) -> Move:
    """What the outcome of a POST does to its task.

    `counts` says that a refusal is the task's own trouble, `refused_before` how many of these there were,
    `wait` how many seconds a pending task stays away; `now` is Unix time.
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


def after_success(answer: Succeeded, generation: Generation, pricing: Pricing, seen: PollTime) -> Move:
    """What a finished generation does to its task; an echo unlike the request is a warning in its row."""
    metadata = generation.request.get("metadata")
    requested = {**(metadata if isinstance(metadata, Mapping) else {}), "seed": generation.seed}
    return Move(
        Event.SUCCEEDED,
        TaskState.COLLECTING,
        warnings=echo_warnings(answer, requested),
        facts=AttemptFacts(
            finished_at=seen.finished(answer.finished_at),
            generation_seconds=seen.generation_seconds(answer.finished_at),
            tokens=answer.tokens,
            cost=pricing.cost(str(generation.request.get("model")), answer.tokens),
            currency=pricing.currency or None,
            result_url=answer.result_url,
            last_frame_url=answer.last_frame_url,
            last_answer=answer.raw[:LAST_ANSWER_BYTES],
        ),
    )


def is_worth_another(
    answer: GenerationFailed, paid_attempts: int, settings: RunSettings, adopted: bool = False
) -> bool:
    """Whether a failed generation is tried again on its own.

    Only after a code of the model's own, which the gateway refunds, and while fewer than `max_attempts`
    at this video were, or may have been, accepted. Never where it was adopted: a failed task shows no seed,
    so that it may be a stranger's, and the charge of our own submission still to come.
    """
    listed = any(answer.code == code or answer.code.startswith(f"{code}.") for code in settings.retry_codes)
    return listed and answer.refunded and paid_attempts < settings.max_attempts and not adopted


def after_failure(answer: GenerationFailed, seen: PollTime, again_at: float | None = None) -> Move:
    """What a failed generation does to its task, which may be tried again from `again_at` (Unix seconds).

    A charge of 0 is a refund, whoever ended the task. Without that word the gateway refunds what the model
    refused (one version shows the hold for ever), and a FAILURE without its code stays counted as spent.
    """
    free = answer.refunded and (bool(answer.code) or answer.charged == 0)
    return Move(
        Event.GENERATION_FAILED,
        TaskState.FAILED if again_at is None else TaskState.PENDING,
        not_before=again_at,
        error_code=answer.code or "generation_failed",
        error_message=answer.message,
        facts=AttemptFacts(
            finished_at=seen.finished(answer.finished_at),
            generation_seconds=seen.generation_seconds(answer.finished_at),
            tokens=0 if free else None,
            cost=0.0 if free else None,
            last_answer=answer.raw[:LAST_ANSWER_BYTES],
        ),
    )


def after_loss(generation: Generation, receipt: Receipt, ever_seen: bool) -> Move:
    """What becomes of a task that the gateway doesn't know, though nothing says that it hides our tasks.

    An id that a person gave and nobody ever saw was a slip: the submission is in doubt, as it was.
    """
    if generation.named and not ever_seen:
        return Move(
            Event.LOST,
            TaskState.IN_DOUBT,
            error_code="adopted_id_unknown",
            error_message=f"the gateway doesn't show {generation.remote_id}, which was given with --adopt: "
            "check the ID, and that this is the key of the submission",
            forget_remote_id=True,
            facts=AttemptFacts(outcome="unknown"),
        )
    return Move(Event.LOST, TaskState.FAILED, error_code=receipt.code, error_message=receipt.message)


def is_without_last_word(error_code: str) -> bool:
    """Whether a task failed without SUCCESS or FAILURE from the gateway, which may still say something."""
    return error_code == NOT_VISIBLE or error_code.startswith(UPSTREAM)


def echo_warnings(answer: Succeeded, requested: Mapping[str, object]) -> tuple[str, ...]:
    """Where the model says that it made something else than `requested` (metadata fields by name)."""
    echo = answer.echo
    pairs = (
        ("duration", echo.duration),
        ("resolution", echo.resolution),
        ("ratio", echo.ratio),
        ("seed", echo.seed),
    )
    return tuple(
        f"asked for {name} {requested[name]}, the model made {made}"
        for name, made in pairs
        if made is not None and requested.get(name) not in (None, -1, "adaptive", made)
    )


@dataclass(frozen=True, slots=True)
class PollTime:
    """When an attempt was accepted and when its end was seen (Unix seconds), and the clock's scale."""

    accepted_at: float
    at: float
    time_scale: float = 1.0

    def finished(self, told: float | None) -> float:
        """When it ended: what the gateway says, where that is possible, else when it was seen."""
        if told is None or not self.accepted_at <= told <= self.at:
            return self.at
        return told

    def generation_seconds(self, told: float | None) -> float:
        """From acceptance to the end, in nominal seconds."""
        return round((self.finished(told) - self.accepted_at) / self.time_scale, 1)
