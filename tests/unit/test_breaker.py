"""Each row of the breaker's table: what opens it, what closes it, and that a probe goes alone."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.errors import ExitCode
from batchrunner.core.kinds import Kind
from batchrunner.core.model import RemoteId, RunSettings, TaskKey
from batchrunner.core.outcome import (
    Accepted,
    AccountFault,
    AccountRefused,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    Unknown,
)
from batchrunner.core.submission.backlog import Backlog, Waiting
from batchrunner.core.submission.breaker import Breaker
from batchrunner.core.submission.capacity import Capacity
from batchrunner.core.submission.decision import Go, Hold, Situation, Stop

CONCURRENCY, MAX_IN_DOUBT = 8, 5
ACCEPTED = Accepted(RemoteId("task_1"), Receipt(200))
UNKNOWN = Unknown(Receipt(502))
BALANCE = AccountRefused(AccountFault.BALANCE, Receipt(403, message="too little"))
FIVE_MINUTES = 300.0


def throttled(retry_after: float | None = None) -> NotAdmitted:
    return NotAdmitted(Refusal.THROTTLED, Receipt(429), retry_after)


def rejected(code: str = "invalid_request", status: int = 400) -> Rejected:
    return Rejected(Receipt(status, code=code, message="no"))


def no_channel() -> NotAdmitted:
    return NotAdmitted(Refusal.MODEL_UNAVAILABLE, Receipt(503, code="model_not_found"))


class Night:
    """A breaker, and a clock that the test sets; each submission is that of another prompt."""

    def __init__(self) -> None:
        self.breaker = Breaker(Capacity(RunSettings(concurrency=CONCURRENCY)), MAX_IN_DOUBT)
        self.position = 0

    def task(self, model="fast", prompt="") -> Waiting:
        self.position += 1
        prompt = prompt or f"prompt {self.position}"
        return Waiting(self.position, TaskKey(f"1-{self.position}"), model, hash(prompt))

    def at(self, now=0.0, in_flight=0, in_doubt=0, chance=0.5) -> Situation:
        return Situation(now, in_flight, in_doubt, chance)

    def hear(self, *outcomes, model="fast", prompt="", **situation) -> "Night":
        for outcome in outcomes:
            self.breaker.record(outcome, self.task(model, prompt), self.at(**situation))
        return self

    def verdict(self, **situation):
        return self.breaker.decide(self.at(**situation))

    def limit(self):
        """How many the breaker lets be in flight, once every pause is over."""
        return next(n for n in itertools.count() if self.verdict(now=1e9, in_flight=n) == Hold(""))

    def waits_until(self, model: str, now=0.0) -> float:
        """When a task of the one model in trouble may be tried again; 0 where it may be at once."""
        return self.breaker.waiting([Kind(model)], now).until or 0.0

    def let_one_go(self, **situation) -> Go:
        verdict = self.verdict(**situation)
        assert isinstance(verdict, Go), verdict
        self.breaker.submitted(verdict, self.task())
        return verdict


def test_a_new_breaker_lets_submissions_go():
    """Where nothing has happened, submissions leave up to the concurrency, none of them a probe."""
    for in_flight in range(CONCURRENCY):
        assert Night().verdict(in_flight=in_flight) == Go()
    assert isinstance(Night().verdict(in_flight=CONCURRENCY), Hold)


# --- the key, the address: a person -------------------------------------------------------------------


@pytest.mark.parametrize("fault", [AccountFault.KEY, AccountFault.UNREACHABLE, AccountFault.ADDRESS])
def test_a_refused_account_stops_the_run_for_good(fault):
    """A refused key, operator or address ends submission with exit 4, and no later success opens it again."""
    night = Night().hear(AccountRefused(fault, Receipt(401, message="who are you")), in_flight=3)
    night.hear(ACCEPTED, now=10_000)
    stop = night.verdict(now=1e9)
    assert isinstance(stop, Stop)
    assert stop.exit_code == ExitCode.ACCOUNT
    assert "who are you" in stop.why
    assert stop.hint


def test_a_refused_query_stops_the_run_too():
    """What a poll has shown about the key counts like a refused submission."""
    night = Night()
    night.breaker.refuse(AccountFault.KEY, Receipt(401))
    stop = night.verdict()
    assert isinstance(stop, Stop)
    assert "401" in stop.why


def test_a_stop_outranks_every_pause():
    """Where several rows object, the one that needs a person decides."""
    night = Night().hear(throttled(1000), UNKNOWN, UNKNOWN, UNKNOWN)
    night.hear(AccountRefused(AccountFault.KEY, Receipt(401)))
    assert isinstance(night.verdict(), Stop)


# --- the balance --------------------------------------------------------------------------------------


def test_a_short_balance_waits_for_a_settlement():
    """While tasks are in flight a short balance holds everything until one of them has settled."""
    night = Night().hear(BALANCE, in_flight=2)
    hold = night.verdict(now=1e6, in_flight=2)
    assert isinstance(hold, Hold)
    assert hold.until is None
    night.breaker.generation_ended()
    assert night.verdict(in_flight=1) == Go(probe=True)


def test_each_settlement_allows_one_probe():
    """After a settlement one submission leaves alone; refused again, the next settlement is waited for."""
    night = Night().hear(BALANCE, in_flight=3)
    for in_flight in (2, 1):
        night.breaker.generation_ended()
        assert night.let_one_go(in_flight=in_flight).probe
        assert isinstance(night.verdict(in_flight=in_flight + 1), Hold)
        night.hear(BALANCE, in_flight=in_flight)
        assert isinstance(night.verdict(in_flight=in_flight), Hold)


def test_an_accepted_probe_ends_the_shortage():
    """Once a probe was accepted, submissions leave as before."""
    night = Night().hear(BALANCE, in_flight=1)
    night.breaker.generation_ended()
    night.let_one_go(in_flight=0)
    night.hear(ACCEPTED, in_flight=0)
    assert night.verdict(in_flight=1) == Go()


def test_a_refused_probe_with_nothing_in_flight_stops_the_run():
    """Exit 4 only when nothing is in flight that could still settle."""
    night = Night().hear(BALANCE, in_flight=1)
    assert not isinstance(night.verdict(in_flight=1), Stop)
    night.breaker.generation_ended()
    night.let_one_go(in_flight=0)
    night.hear(BALANCE, in_flight=0)
    stop = night.verdict(in_flight=0)
    assert isinstance(stop, Stop)
    assert stop.exit_code == ExitCode.ACCOUNT


def test_a_shortage_with_nothing_in_flight_is_probed_at_once():
    """With nothing in flight that could settle, one submission is tried: nothing else will come."""
    night = Night().hear(BALANCE, in_flight=1)
    assert night.verdict(in_flight=0) == Go(probe=True)


def test_a_settlement_while_a_probe_is_in_the_air_is_not_lost():
    """A probe that was refused before the last task in flight had settled is followed by another one."""
    night = Night().hear(BALANCE, in_flight=2)
    night.breaker.generation_ended()
    night.let_one_go(in_flight=1)
    night.breaker.generation_ended()  # the last task in flight ends before the probe's answer comes
    night.hear(BALANCE, in_flight=0)
    assert night.verdict(in_flight=0) == Go(probe=True)


# --- 429 ----------------------------------------------------------------------------------------------


def test_retry_after_is_waited_for_exactly():
    """A 429 with Retry-After pauses all submission for so many seconds, whatever chance says."""
    for chance in (0.0, 0.99):
        night = Night().hear(throttled(30), now=100, chance=chance)
        assert night.verdict(now=129.9) == Hold(night.verdict(now=100).why, until=130)
        assert night.verdict(now=130) == Go()


def test_a_changed_concurrency_takes_effect_at_once():
    """Raised, more may be in flight; lowered, no more leave until fewer are."""
    night = Night()
    night.breaker.allow(CONCURRENCY + 2, now=0.0)
    assert night.verdict(in_flight=CONCURRENCY + 1) == Go()
    assert isinstance(night.verdict(in_flight=CONCURRENCY + 2), Hold)
    night.breaker.allow(1, now=0.0)
    assert isinstance(night.verdict(in_flight=1), Hold)
    assert night.verdict(in_flight=0) == Go()


def test_a_raised_concurrency_does_not_undo_what_a_429_cut():
    """The gateway said that it is too much: the number grows back with what is accepted."""
    night = Night().hear(throttled(1), now=0, in_flight=CONCURRENCY)
    cut = night.limit()
    night.breaker.allow(CONCURRENCY + 1, now=0.0)
    assert night.limit() == cut < CONCURRENCY
    night.hear(*[ACCEPTED] * CONCURRENCY, now=10)
    assert night.limit() == CONCURRENCY + 1


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 12))
def test_without_retry_after_the_pause_is_a_backoff_with_full_jitter(chance, times):
    """A 429 without Retry-After pauses for chance times a bound that doubles from 5 s up to 2 min."""
    night, now = Night(), 0.0
    for count in range(1, times + 1):
        night.hear(throttled(), now=now, chance=chance)
        wait = chance * min(120.0, 5.0 * 2 ** (count - 1))
        if wait > 1e-6:
            assert isinstance(night.verdict(now=now + wait * 0.99), Hold)
        now += wait + 1e-6
        assert isinstance(night.verdict(now=now), Go)


@pytest.mark.parametrize("why", [Refusal.THROTTLED, Refusal.GATEWAY_BUSY, Refusal.UNREACHABLE])
def test_a_refusal_that_concerns_every_model_pauses_all(why):
    """429, a busy gateway and an unreachable one hold all submissions, of every model."""
    night = Night().hear(NotAdmitted(why, Receipt()), now=0, chance=0.9)
    assert isinstance(night.verdict(now=1), Hold)


def test_the_limit_in_flight_is_cut_once_per_episode():
    """However many of those in the air come back with 429, the number in flight is cut by a quarter once."""
    night = Night().hear(*[throttled(10)] * 6, in_flight=8)
    assert night.limit() == 6
    night.hear(throttled(10), now=10, in_flight=4)  # the next one, after the pause, is the same episode
    assert night.limit() == 6
    assert isinstance(night.verdict(now=20, in_flight=6), Hold)
    assert night.verdict(now=20, in_flight=5) == Go()


@pytest.mark.parametrize("retry_after", [None, 10])
def test_simultaneous_refusals_are_one_step_of_the_backoff(retry_after):
    """Eight in the air together that come back with 429 lengthen the next pause once, not eight times."""
    night = Night().hear(*[throttled(retry_after)] * 8, in_flight=8, chance=0.9)
    night.hear(throttled(), now=10, in_flight=4, chance=0.99)
    assert night.verdict(now=10 + 10) == Go()


def test_the_cut_starts_from_the_number_really_in_flight():
    """With 4 of 8 slots taken a 429 leaves 3, and never less than 1."""
    assert Night().hear(throttled(10), in_flight=4).limit() == 3
    for in_flight in (0, 1):
        assert Night().hear(throttled(10), in_flight=in_flight).limit() == 1


@pytest.mark.parametrize("why", [Refusal.UNREACHABLE, Refusal.GATEWAY_BUSY])
def test_the_first_429_cuts_whatever_came_before_it(why):
    """A gateway that comes back from an outage with 429 is given fewer in flight, too."""
    night = Night().hear(NotAdmitted(why, Receipt()), in_flight=8)
    night.hear(throttled(10), now=500, in_flight=8)
    assert night.limit() < CONCURRENCY


def test_accepted_submissions_let_the_number_grow_back():
    """Each acceptance allows one more in flight, up to the concurrency and not beyond."""
    night = Night().hear(throttled(10), in_flight=8)
    limits = [night.hear(ACCEPTED, now=20).limit() for _ in range(6)]
    assert limits == [7, 8, 8, 8, 8, 8]


def test_an_acceptance_after_the_pause_begins_a_new_episode():
    """A 429 after submissions were accepted again cuts again and starts from the shortest backoff."""
    night = Night().hear(throttled(10), in_flight=8)
    night.hear(ACCEPTED, now=20)
    night.hear(throttled(), now=30, in_flight=4, chance=0.99)
    assert night.limit() == 3
    assert night.verdict(now=34.96) == Go()


def test_a_longer_retry_after_is_kept():
    """Of several 429 in one pause the latest moment asked for counts: a gateway's own word is not outbid."""
    night = Night().hear(throttled(2), now=0)
    night.hear(throttled(60), now=1)
    assert isinstance(night.verdict(now=30), Hold)
    assert night.verdict(now=61) == Go()


def test_a_retry_after_pauses_the_account_though_other_models_are_accepted():
    """The gateway named a time: acceptances that were on their way don't make it a matter of one model."""
    night = Night().hear(ACCEPTED, model="other").hear(throttled(1200), now=10, in_flight=2)
    night.hear(ACCEPTED, model="other", now=11)
    assert night.verdict(now=1209.9) == Hold("rate-limited by the gateway (429); it asked for a pause", 1210)
    assert night.verdict(now=1210) == Go()
    assert night.waits_until("fast") == 0


def test_a_retry_after_within_a_pause_is_the_account_s_too():
    """A pause that began without a time becomes one of the account when a later 429 names it."""
    night = Night().hear(throttled(), now=0, chance=0.9).hear(throttled(60), now=1)
    night.hear(ACCEPTED, model="other", now=2)
    assert isinstance(night.verdict(now=60), Hold)
    assert night.verdict(now=61) == Go()


def test_a_retry_after_of_no_time_is_a_backoff():
    """A gateway that says 0 again and again isn't asked again and again."""
    night = Night().hear(throttled(0.0), now=0, chance=0.9)
    assert isinstance(night.verdict(now=4), Hold)
    assert night.verdict(now=4.6) == Go()


# --- unknown outcomes ---------------------------------------------------------------------------------


def test_three_unknown_in_a_row_stop_submission_for_five_minutes():
    """Two unknown outcomes change nothing; the third holds everything, but for a probe every 5 min."""
    night = Night().hear(UNKNOWN, UNKNOWN, now=100, in_doubt=2)
    assert night.verdict(now=100, in_doubt=2) == Go()
    night.hear(UNKNOWN, now=100, in_doubt=3)
    hold = night.verdict(now=100 + FIVE_MINUTES - 1, in_doubt=3)
    assert isinstance(hold, Hold)
    assert hold.until == 100 + FIVE_MINUTES
    assert night.verdict(now=100 + FIVE_MINUTES, in_doubt=3) == Go(probe=True)


@pytest.mark.parametrize("answer", [ACCEPTED, rejected()])
def test_a_clear_answer_in_between_resets_the_count(answer):
    """Unknown outcomes count in a row: an acceptance or a rejection between them starts the count anew."""
    night = Night().hear(UNKNOWN, UNKNOWN, answer, UNKNOWN, UNKNOWN)
    assert night.verdict() == Go()


def test_nothing_else_is_sent_while_a_probe_is_in_flight():
    """While a probe has no answer nothing else leaves, at whatever time."""
    night = Night().hear(UNKNOWN, UNKNOWN, UNKNOWN)
    assert night.let_one_go(now=300).probe
    assert isinstance(night.verdict(now=1e6), Hold)


def test_a_probe_that_ends_in_doubt_waits_for_the_next():
    """After an unknown probe 5 more minutes pass before the next."""
    night = Night().hear(UNKNOWN, UNKNOWN, UNKNOWN)
    night.let_one_go(now=300)
    night.hear(UNKNOWN, now=310)
    assert isinstance(night.verdict(now=609), Hold)
    assert night.verdict(now=610) == Go(probe=True)


def test_an_accepted_probe_lets_submissions_go_again():
    """The first accepted probe ends the outage."""
    night = Night().hear(UNKNOWN, UNKNOWN, UNKNOWN)
    night.let_one_go(now=300)
    night.hear(ACCEPTED, now=301, in_doubt=3)
    assert night.verdict(now=301, in_doubt=3) == Go()


def test_many_in_doubt_stop_submission_at_the_first_further_one():
    """With `max_in_doubt` open, a single unknown outcome is enough."""
    night = Night()
    assert night.let_one_go(in_doubt=MAX_IN_DOUBT - 1) == Go()
    night.hear(UNKNOWN, in_doubt=MAX_IN_DOUBT)
    assert isinstance(night.verdict(now=10, in_doubt=MAX_IN_DOUBT), Hold)
    assert night.verdict(now=300, in_doubt=MAX_IN_DOUBT) == Go(probe=True)


def test_a_run_that_begins_with_many_in_doubt_waits_and_begins_with_a_probe():
    """A run that finds `max_in_doubt` tasks in doubt risks one submission, 5 min after each start."""
    night = Night()
    held = night.verdict(in_doubt=MAX_IN_DOUBT)
    assert isinstance(held, Hold)
    assert held.until == 300
    assert night.let_one_go(now=300, in_doubt=MAX_IN_DOUBT).probe
    assert isinstance(night.verdict(now=300, in_doubt=MAX_IN_DOUBT), Hold)
    assert Night().verdict(in_doubt=MAX_IN_DOUBT - 1) == Go()


def test_submissions_in_flight_count_as_possible_doubts():
    """So many submissions may be without an answer that `max_in_doubt` is not passed, and always one."""
    allowed = Night().breaker.most_in_the_air
    assert [allowed(in_doubt) for in_doubt in (0, 1, 4, 5, 50)] == [5, 4, 1, 1, 1]


def test_a_postponed_probe_waits_five_minutes():
    """Where the gateway doesn't answer a free question, the probe is put off."""
    night = Night().hear(UNKNOWN, UNKNOWN, UNKNOWN)
    night.let_one_go(now=300)
    night.breaker.withdrawn(night.task(), probe=True)
    night.breaker.unanswered(300)
    assert isinstance(night.verdict(now=599), Hold)
    assert night.verdict(now=600) == Go(probe=True)


def test_a_withdrawn_probe_may_be_sent_again():
    """A probe that did not leave after all holds nobody back."""
    night = Night().hear(UNKNOWN, UNKNOWN, UNKNOWN)
    night.let_one_go(now=300)
    night.breaker.withdrawn(night.task(), probe=True)
    assert night.verdict(now=300) == Go(probe=True)


# --- rejections ---------------------------------------------------------------------------------------


def probed(night: Night, outcome) -> Night:
    """The night after a probe with another prompt had this outcome."""
    probe = night.task()
    assert night.verdict() == Go(probe=True)
    assert night.breaker.submitted(Go(probe=True), probe)
    night.breaker.record(outcome, probe, night.at())
    return night


def test_ten_prompts_rejected_in_the_same_words_and_a_probe_too_stop_the_run():
    """Ten different prompts and a probe rejected alike are a mistake in all tasks: a person, exit 1."""
    night = Night().hear(*[rejected()] * 9)
    assert night.verdict() == Go()
    stop = probed(night.hear(rejected()), rejected()).verdict()
    assert isinstance(stop, Stop)
    assert stop.exit_code == ExitCode.FAILED
    assert "invalid_request" in stop.why
    assert "retry" in stop.hint


def test_an_accepted_probe_lets_the_rest_go():
    """Ten bad prompts stop nothing while another one is accepted."""
    assert probed(Night().hear(*[rejected()] * 10), ACCEPTED).verdict() == Go()


def test_one_prompt_rejected_again_and_again_says_nothing_about_the_others():
    """Replicas of one prompt count once."""
    assert Night().hear(*[rejected()] * 40, prompt="a cat").verdict() == Go()


@pytest.mark.parametrize("other", [rejected("invalid_seconds"), rejected(status=422)])
def test_other_rejections_between_do_not_hide_a_mistake(other):
    """Another code or status between them counts for itself."""
    night = Night().hear(*[rejected()] * 9, other)
    assert night.verdict() == Go()
    assert night.hear(rejected()).verdict() == Go(probe=True)


def test_an_acceptance_in_between_resets_the_count():
    """Whatever was rejected before, the request as such is right."""
    assert Night().hear(*[rejected()] * 9, ACCEPTED, *[rejected()] * 9).verdict() == Go()


def test_numbers_and_quoted_parts_of_a_message_do_not_make_it_another():
    """The same words with another id or value in them are the same mistake."""
    said = [
        Rejected(Receipt(400, code="x", message=f"bad value '{n}' (request id: 2026{n}ab)"))
        for n in range(10)
    ]
    assert Night().hear(*said).verdict() == Go(probe=True)


# --- a model that the key may not use -----------------------------------------------------------------


@pytest.mark.parametrize("fault", [AccountFault.MODEL, AccountFault.OPERATOR])
def test_a_denied_model_waits_alone_and_is_probed_every_five_minutes(fault):
    """Other models go on; the run ends with 4 only when nothing else is left."""
    night = Night().hear(AccountRefused(fault, Receipt(403, message="no access to model")), now=10)
    assert night.verdict(now=11) == Go()
    backlog = Backlog()
    backlog.put(night.task("fast"))
    assert night.breaker.choose(backlog, 11) is None
    backlog.put(night.task("slow"))
    assert night.breaker.choose(backlog, 11) is not None
    assert night.breaker.choose(backlog, 10 + FIVE_MINUTES) is not None
    assert night.breaker.denied({Kind("fast"), Kind("slow")}) is None
    stop = night.breaker.denied({Kind("fast")})
    assert isinstance(stop, Stop)
    assert stop.exit_code == ExitCode.ACCOUNT
    assert "no access to model" in stop.why
    assert isinstance(night.verdict(now=20), Stop)


@pytest.mark.parametrize(
    "code",
    [
        "InputTextSensitiveContentDetected",
        "InputImageSensitiveContentDetected.PrivacyInformation",
        "InputVideoSensitiveContentDetected.PolicyViolation",
        "OutputVideoSensitiveContentDetected",
    ],
)
def test_moderation_says_nothing_about_the_next_task(code):
    """Refused content concerns one task: a hundred of them in a row stop nothing."""
    assert Night().hear(*[rejected(code)] * 100).verdict() == Go()


def test_moderation_between_does_not_hide_a_mistake():
    """Refused content between identical rejections neither counts nor ends their row."""
    mixed = itertools.chain.from_iterable(
        (rejected(), rejected("InputTextSensitiveContentDetected")) for _ in range(10)
    )
    assert Night().hear(*mixed).verdict() == Go(probe=True)


# --- a model without a channel ------------------------------------------------------------------------


def test_a_model_without_a_channel_waits_alone():
    """`model_not_found` holds back its own model only."""
    night = Night().hear(no_channel(), now=100, model="fast")
    assert night.waits_until("fast", now=100) > 100
    assert night.verdict(now=100) == Go()
    backlog = Backlog()
    backlog.put(night.task("fast"))
    backlog.put(night.task("slow"))
    chosen = night.breaker.choose(backlog, 100)
    assert chosen
    assert chosen.model == "slow"
    assert night.breaker.choose(backlog, 100) is None


def test_the_waits_for_a_model_grow_to_five_minutes():
    """Tried in vain again and again, a model is tried every 5 min within 10 min, and never less often."""
    night, now, waits = Night(), 0.0, []
    for _ in range(12):
        night.hear(no_channel(), now=now)
        waits.append(night.waits_until("fast", now) - now)
        now += waits[-1]
    assert waits == sorted(waits)
    assert waits[0] > 0
    assert waits[-1] == max(waits) == FIVE_MINUTES
    assert sum(wait for wait in waits if wait < FIVE_MINUTES) <= 600


def test_simultaneous_refusals_are_one_try():
    """Several submissions in the air that come back together lengthen the wait once."""
    once = Night().hear(no_channel(), now=5).waits_until("fast")
    assert Night().hear(*[no_channel()] * 5, now=5).waits_until("fast") == once


def test_an_accepted_task_of_the_model_ends_its_wait():
    """The model is back with its first accepted submission; another model's says nothing."""
    night = Night().hear(no_channel(), now=0).hear(ACCEPTED, now=1, model="slow")
    assert night.waits_until("fast") > 1
    night.hear(ACCEPTED, now=20)
    assert night.waits_until("fast") == 0


def test_a_missing_model_counts_neither_as_doubt_nor_as_throttling():
    """`model_not_found` leaves the other rows alone: no pause for everybody, no fewer in flight."""
    night = Night().hear(*[no_channel()] * 20, in_flight=8)
    assert night.limit() == CONCURRENCY
    assert night.verdict() == Go()
