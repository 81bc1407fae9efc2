"""State changes at the end of a generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from batchrunner.core.comparison import MOST_TOKENS
from batchrunner.core.estimate import least_tokens, tokens
from batchrunner.core.model import Generation, Request, RunSettings
from batchrunner.core.outcome import NOT_VISIBLE, UPSTREAM, GenerationFailed, Receipt, Succeeded
from batchrunner.core.policy.moves import LAST_ANSWER_BYTES, AttemptFacts, Move
from batchrunner.core.rules.limits import Limits
from batchrunner.core.settlement import Prices, settled
from batchrunner.core.states import Event, TaskState

GENERATION_FAILED = "generation_failed"
"""Our code for a FAILURE without a code."""


def after_success(answer: Succeeded, generation: Generation, prices: Prices, seen: PollTime) -> Move:
    """The generation succeeded; an echo that differs from the request becomes a warning in its row."""
    metadata = generation.request.get("metadata")
    requested = {**(metadata if isinstance(metadata, Mapping) else {}), "seed": generation.seed}
    paid = settled(generation.request, answer.tokens, answer.quota, generation.hold, prices)
    return Move(
        Event.SUCCEEDED,
        TaskState.COLLECTING,
        warnings=(
            *echo_warnings(answer, requested),
            *_token_warnings(answer.tokens, generation.request, prices.limits),
        ),
        facts=AttemptFacts(
            finished_at=seen.finished(answer.finished_at),
            generation_seconds=seen.generation_seconds(answer.finished_at),
            tokens=answer.tokens,
            cost=paid.cost,
            currency=paid.currency,
            quota=answer.quota,
            charged_usd=paid.charged_usd,
            result_url=answer.result_url,
            last_frame_url=answer.last_frame_url,
            last_answer=answer.raw[:LAST_ANSWER_BYTES],
        ),
    )


def _token_warnings(charged: int | None, request: Request, limits: Limits) -> tuple[str, ...]:
    most = tokens(request, limits)
    if charged is None or least_tokens(request, limits) <= charged <= MOST_TOKENS * most:
        return ()
    if charged > most:
        return (f"charged {charged:,} tokens instead of {most:,} at most",)
    return (f"implausibly few tokens: {charged:,}; the budget counts the whole estimate",)


def is_worth_another(
    answer: GenerationFailed, paid_attempts: int, settings: RunSettings, adopted: bool = False
) -> bool:
    """Whether to retry a failed generation automatically.

    Only after one of the model's own codes, which the gateway refunds, and while fewer than `max_attempts`
    at this video were, or may have been, accepted. Never if it was adopted: a failed task shows no seed, so
    it may be a stranger's, and the charge for our own submission may still come.
    """
    listed = any(answer.code == code or answer.code.startswith(f"{code}.") for code in settings.retry_codes)
    return listed and answer.refunded and paid_attempts < settings.max_attempts and not adopted


def with_hold(answer: GenerationFailed, hold: int | None, settles: bool) -> GenerationFailed:
    """The failure, given the hold seen before: a quota that has become another amount than 0 was charged.

    So was the hold itself, if this gateway is known to show what it has settled (`settles`).
    """
    is_charged = hold is not None and answer.charged not in ((None, 0) if settles else (None, 0, hold))
    return replace(answer, refunded=False) if is_charged else answer


def after_failure(answer: GenerationFailed, seen: PollTime, again_at: float | None = None) -> Move:
    """The generation failed; the task may be retried from `again_at` (Unix seconds), or not at all if None.

    A charge of 0 is a refund, whoever ended the task. Otherwise a FAILURE with the model's code counts as
    refunded (one gateway version shows the hold forever), and a FAILURE without a code as spent.
    """
    free = answer.refunded and (bool(answer.code) or answer.charged == 0)
    return Move(
        Event.GENERATION_FAILED,
        TaskState.FAILED if again_at is None else TaskState.PENDING,
        not_before=again_at,
        error_code=answer.code or GENERATION_FAILED,
        error_message=answer.message,
        facts=AttemptFacts(
            finished_at=seen.finished(answer.finished_at),
            generation_seconds=seen.generation_seconds(answer.finished_at),
            tokens=0 if free else None,
            cost=0.0 if free else None,
            quota=answer.charged,
            last_answer=answer.raw[:LAST_ANSWER_BYTES],
        ),
    )


def after_loss(generation: Generation, receipt: Receipt, ever_seen: bool) -> Move:
    """The gateway doesn't know the task, and nothing suggests that it hides our tasks.

    An ID set by the user and never seen was mistyped: the submission is in doubt as before.
    """
    if generation.named and not ever_seen:
        return Move(
            Event.LOST,
            TaskState.IN_DOUBT,
            error_code="adopted_id_unknown",
            error_message=f"the gateway doesn't show {generation.remote_id}, given with --adopt: "
            "check the ID, and that this is the key used for the submission",
            forget_remote_id=True,
            facts=AttemptFacts(outcome="unknown"),
        )
    return Move(Event.LOST, TaskState.FAILED, error_code=receipt.code, error_message=receipt.message)


def may_be_paid_for(failed: bool, remote_id: str | None, error_code: str, tokens: int | None) -> bool:
    """Whether a task failed after the gateway had accepted it, without a confirmed refund."""
    kept = error_code == GENERATION_FAILED and tokens is None
    return failed and remote_id is not None and (kept or is_without_last_word(error_code))


def is_without_last_word(error_code: str) -> bool:
    """Whether a task failed without SUCCESS or FAILURE from the gateway, which may still report one."""
    return error_code == NOT_VISIBLE or error_code.startswith(UPSTREAM)


def echo_warnings(answer: Succeeded, requested: Mapping[str, object]) -> tuple[str, ...]:
    """Warnings where the model reports other values than `requested` (metadata fields by name)."""
    echo = answer.echo
    pairs = (
        ("duration", echo.duration),
        ("resolution", echo.resolution),
        ("ratio", echo.ratio),
        ("seed", echo.seed),
    )
    return tuple(
        f"requested {name} {requested[name]}, the model made {made}"
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
        """When it ended: the gateway's time if plausible, else when we saw it."""
        if told is None or not self.accepted_at <= told <= self.at:
            return self.at
        return told

    def generation_seconds(self, told: float | None) -> float:
        """From acceptance to the end, in nominal seconds."""
        return round((self.finished(told) - self.accepted_at) / self.time_scale, 1)
