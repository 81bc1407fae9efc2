"""What an outcome does to its task, and when to look again."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.model import AttemptId, Generation, Pricing, RemoteId, RunSettings, TaskKey
from batchrunner.core.outcome import (
    Accepted,
    AccountFault,
    AccountRefused,
    Echo,
    GenerationFailed,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    Succeeded,
    Unknown,
)
from batchrunner.core.policy import (
    BACKOFF_CAP,
    LAST_ANSWER_BYTES,
    Move,
    PollTime,
    after_failure,
    after_submit,
    after_success,
    backoff,
    echo_warnings,
    is_worth_another,
    with_hold,
)
from batchrunner.core.settlement import Prices
from batchrunner.core.states import Event, TaskState, check_transition
from batchrunner.manifest import load_limits

PROPERTY = settings(max_examples=300)
LIMITS = load_limits()
UNPRICED = Prices(Pricing(), LIMITS)


def generated(model: str, metadata: dict[str, object]) -> Generation:
    """A generation of which an end is seen."""
    seed = metadata.get("seed")
    request = {"model": model, "metadata": metadata}
    return Generation(
        TaskKey("1-a"),
        AttemptId(1),
        RemoteId("task_A"),
        1000.0,
        0.0,
        request,
        seed if isinstance(seed, int) else None,
    )


RECEIPT = Receipt(status=500, request_id="req-1", code="some_code", message="some words")
CHANCE = st.floats(0, 1, exclude_max=True)
AGE = st.floats(0, 1e6)
TYPICAL = st.none() | st.floats(0, 1e5)


def decide(outcome, refused_before=0, wait=7.0, counts=True) -> Move:
    return after_submit(outcome, now=1000.0, counts=counts, refused_before=refused_before, wait=wait)


def success(**changes) -> Succeeded:
    values = {
        "result_url": "https://files.example/a.mp4",
        "last_frame_url": "",
        "tokens": 108_900,
        "finished_at": 1100.0,
        "echo": Echo(),
        "raw": "{}",
    }
    return Succeeded(**values | changes)


def failure(code="InternalServiceError", refunded=True, finished_at=None) -> GenerationFailed:
    return GenerationFailed(code, "it failed", finished_at, "{}", refunded)


SEEN = PollTime(accepted_at=1000.0, at=1200.0)


def test_an_accepted_submission_generates_and_keeps_its_remote_id():
    """Accepted: generating, with remote id, time and the gateway's request id on record."""
    move = decide(Accepted(RemoteId("task_1"), Receipt(200, "req-1")))
    assert (move.event, move.to) == (Event.ACCEPTED, TaskState.GENERATING)
    assert (move.facts.remote_id, move.facts.accepted_at, move.facts.request_id) == (
        "task_1",
        1000.0,
        "req-1",
    )
    assert move.error_code == ""


@pytest.mark.parametrize("why", list(Refusal))
def test_a_submission_that_was_not_admitted_is_pending_again(why):
    """Not admitted, for whatever reason: pending again, not before its wait is over."""
    move = decide(NotAdmitted(why, RECEIPT))
    assert (move.event, move.to, move.not_before) == (Event.NOT_ADMITTED, TaskState.PENDING, 1007.0)
    assert move.refused
    assert not decide(NotAdmitted(why, RECEIPT), counts=False).refused
    assert (move.error_code, move.error_message, move.facts.request_id) == (
        "some_code",
        "some words",
        "req-1",
    )


@pytest.mark.parametrize("why", list(Refusal))
def test_a_refusal_without_a_code_is_named_after_its_reason(why):
    """A refusal that brought no code of its own has its reason as error code."""
    assert decide(NotAdmitted(why, Receipt())).error_code == why.value


@pytest.mark.parametrize("fault", list(AccountFault))
def test_a_refused_account_costs_no_task_anything(fault):
    """Account refused, for whatever fault: the task is pending again."""
    move = decide(AccountRefused(fault, RECEIPT))
    assert (move.event, move.to) == (Event.ACCOUNT_REFUSED, TaskState.PENDING)
    assert not move.refused


def test_a_rejected_request_needs_a_person():
    """Rejected: failed, with the gateway's code and words."""
    move = decide(Rejected(RECEIPT))
    assert (move.event, move.to, move.error_code) == (Event.REJECTED, TaskState.FAILED, "some_code")


def test_an_unknown_outcome_leaves_the_task_in_doubt():
    """Unknown: in doubt, however often the gateway took submissions of the task back before."""
    for refused_before in range(5):
        move = decide(Unknown(RECEIPT), refused_before)
        assert (move.event, move.to, move.not_before) == (Event.UNKNOWN, TaskState.IN_DOUBT, None)


def test_a_submission_is_taken_back_twice_and_then_fails():
    """What the gateway refunds is sent again twice at most; the third time a person must look."""
    outcome = NotAdmitted(Refusal.REFUNDED, RECEIPT)
    assert [decide(outcome, before).to for before in range(4)] == [
        TaskState.PENDING,
        TaskState.PENDING,
        TaskState.FAILED,
        TaskState.FAILED,
    ]
    assert decide(outcome, 2).event is Event.REJECTED


@pytest.mark.parametrize("why", [why for why in Refusal if why is not Refusal.REFUNDED])
def test_a_few_refusals_that_only_it_has_make_a_task_fail(why):
    """Refused four times while others are accepted, it is tried a fifth time and has failed then."""
    assert decide(NotAdmitted(why, RECEIPT), 3).to is TaskState.PENDING
    assert decide(NotAdmitted(why, RECEIPT), 4).to is TaskState.FAILED


@pytest.mark.parametrize("why", list(Refusal))
def test_refusals_that_others_have_too_never_make_a_task_fail(why):
    """A busy gateway costs no task anything, however often."""
    assert decide(NotAdmitted(why, RECEIPT), 99, counts=False).to is TaskState.PENDING


def test_every_decision_is_a_transition_of_the_table():
    """Whatever comes of a POST, the decision about it is one that the table of states allows."""
    outcomes = [
        Accepted(RemoteId("task_1"), RECEIPT),
        Rejected(RECEIPT),
        Unknown(RECEIPT),
        *(NotAdmitted(why, RECEIPT) for why in Refusal),
        *(AccountRefused(fault, RECEIPT) for fault in AccountFault),
    ]
    for outcome in outcomes:
        for before in range(4):
            move = decide(outcome, before)
            check_transition(TaskState.SUBMITTING, move.event, move.to)
            assert move.facts.outcome == type(outcome).__name__.lower()
            assert move.facts.http_status == 500


def test_a_long_answer_is_kept_up_to_64_kb():
    """The raw answer on record is cut at 64 KB."""
    for move in (
        decide(Unknown(Receipt(message="x" * 100_000))),
        after_failure(GenerationFailed("c", "m", None, "x" * 100_000), SEEN),
        after_success(success(raw="x" * 100_000), generated("m", {}), UNPRICED, SEEN),
    ):
        assert move.facts.last_answer == "x" * LAST_ANSWER_BYTES


def test_a_finished_generation_is_collected_with_its_price():
    """Success: collecting, with tokens, cost in the manifest's currency, links and times."""
    prices = Prices(Pricing("USD", {"fast": 5.6}), LIMITS)
    move = after_success(success(), generated("fast", {}), prices, SEEN)
    assert (move.event, move.to) == (Event.SUCCEEDED, TaskState.COLLECTING)
    facts = move.facts
    assert (facts.tokens, facts.cost, facts.currency) == (108_900, 0.60984, "USD")
    assert (facts.finished_at, facts.generation_seconds) == (1100.0, 100.0)
    assert facts.result_url == "https://files.example/a.mp4"


def test_a_price_that_is_not_known_is_not_guessed():
    """Without a price for the model, or without tokens, the cost stays open."""
    for pricing, tokens in ((Pricing(), 108_900), (Pricing("USD", {"fast": 5.6}), None)):
        move = after_success(success(tokens=tokens), generated("fast", {}), Prices(pricing, LIMITS), SEEN)
        assert move.facts.cost is None


def test_a_refused_generation_costs_nothing():
    """A failure with the model's own code is refunded: no tokens, no cost."""
    move = after_failure(failure(), SEEN)
    assert (move.event, move.to, move.error_code) == (
        Event.GENERATION_FAILED,
        TaskState.FAILED,
        "InternalServiceError",
    )
    assert (move.facts.tokens, move.facts.cost) == (0, 0.0)


def test_a_charge_of_nothing_is_a_refund_whoever_ended_the_task():
    """`quota: 0` on a FAILURE settles the cost, its own timeout included; no word of it does not."""
    for code in ("", "InternalServiceError"):
        facts = after_failure(replace(failure(code=code), charged=0), SEEN).facts
        assert (facts.tokens, facts.cost) == (0, 0.0)
    for charged in (None, 700_000):
        assert after_failure(replace(failure(code=""), charged=charged), SEEN).facts.tokens is None


@pytest.mark.parametrize("answer", [failure(code=""), failure(refunded=False)])
def test_a_failure_that_nobody_refunded_stays_counted(answer):
    """Without an upstream code, or before the gateway says FAILURE, the money is not called returned."""
    move = after_failure(answer, SEEN)
    assert move.to is TaskState.FAILED
    assert (move.facts.tokens, move.facts.cost) == (None, None)
    assert move.error_code


def test_the_gateways_time_is_taken_only_where_it_is_possible():
    """An end before the acceptance, or after it was seen, is a wrong clock: the time of sight counts."""
    told = {1100.0: 1100.0, 999.0: 1200.0, 1201.0: 1200.0, None: 1200.0}
    assert {time: SEEN.finished(time) for time in told} == told
    assert PollTime(1000.0, 1001.0, time_scale=0.01).generation_seconds(None) == 100.0


ASKED = {"duration": 5, "resolution": "720p", "ratio": "16:9", "seed": 42}


@pytest.mark.parametrize(
    ("echo", "words"),
    [
        (Echo(), ()),
        (Echo(5, "720p", "16:9", 42), ()),
        (Echo(duration=10), ("duration", "5", "10")),
        (Echo(resolution="480p"), ("resolution", "720p", "480p")),
        (Echo(ratio="1:1"), ("ratio", "16:9", "1:1")),
        (Echo(seed=7), ("seed", "42", "7")),
    ],
)
def test_an_echo_unlike_the_request_is_a_warning(echo, words):
    """Where the model says that it made something else, the row says what was asked and what was made."""
    warnings = echo_warnings(success(echo=echo), ASKED)
    assert len(warnings) == bool(words)
    assert all(word in warnings[0] for word in words)


def test_fields_left_open_are_no_difference():
    """Nothing is said about values that the request left to the model."""
    echo = Echo(5, "720p", "16:9", 42)
    for requested in ({}, {"duration": -1, "ratio": "adaptive", "seed": -1}, dict.fromkeys(ASKED)):
        assert echo_warnings(success(echo=echo), requested) == ()


def test_every_difference_is_a_warning():
    """Four differences are four warnings, and they go into the task's row."""
    answer = success(echo=Echo(10, "480p", "1:1", 7))
    move = after_success(answer, generated("m", ASKED), UNPRICED, SEEN)
    assert len(move.warnings) == 4


@PROPERTY
@given(st.integers(1, 10_000), CHANCE)
def test_a_backoff_stays_below_its_bound(attempt, chance):
    """Full jitter: from nothing up to a bound that doubles from 5 s and ends at 2 min."""
    assert 0 <= backoff(attempt, chance) <= min(BACKOFF_CAP, 5.0 * 2 ** min(attempt - 1, 10))


def test_the_bound_of_a_backoff_doubles():
    """The first bounds are 5, 10, 20, 40, 80 and 120 s."""
    bounds = [backoff(attempt, 1.0) for attempt in range(1, 8)]
    assert bounds == [5.0, 10.0, 20.0, 40.0, 80.0, 120.0, 120.0]


@pytest.mark.parametrize(
    ("code", "refunded", "paid", "again"),
    [
        ("InternalServiceError", True, 1, True),
        ("OutputVideoSensitiveContentDetected.PolicyViolation", True, 1, True),
        ("InternalServiceErrors", True, 1, False),
        ("InputTextSensitiveContentDetected", True, 1, False),
        ("", True, 1, False),
        ("InternalServiceError", False, 1, False),
        ("InternalServiceError", True, 2, False),
        ("InternalServiceError", True, 3, False),
    ],
)
def test_only_a_listed_refunded_failure_is_tried_again_and_not_too_often(code, refunded, paid, again):
    """A FAILURE without a code, one that is not refunded, and one too many need a person."""
    answer = GenerationFailed(code, "no", None, "{}", refunded)
    assert is_worth_another(answer, paid, RunSettings(max_attempts=2)) is again
    assert not is_worth_another(answer, paid, RunSettings(max_attempts=2), adopted=True)


@pytest.mark.parametrize(
    ("hold", "charged", "settles", "free"),
    [
        (700, 0, False, True),
        (700, 700, False, True),  # one version shows the hold for ever
        (700, 700, True, False),  # this one does not: the hold was kept
        (700, 0, True, True),
        (700, None, True, True),
        (None, 300, True, True),
        (700, 300, False, False),
    ],
)
def test_a_failure_whose_quota_was_settled_is_no_refund(hold, charged, settles, free):
    """A hold that became another amount than 0 was charged: no money is freed, and nothing is retried."""
    answer = with_hold(replace(failure(code="InternalServiceError"), charged=charged), hold, settles)
    assert after_failure(answer, SEEN).facts.tokens == (0 if free else None)
    assert is_worth_another(answer, 0, RunSettings()) is free
