"""When to poll a task again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.gateway_loop import Rounds
from batchrunner.core.outcome import Echo as VideoEcho
from batchrunner.core.outcome import InProgress, NotVisible, QueryFailed, Receipt, Succeeded
from batchrunner.core.poll_schedule import (
    DENSE,
    DENSEST,
    Durations,
    PollSchedule,
    Usual,
    Watch,
    most_polls_per_second,
    poll_delay,
)

PROPERTY = settings(max_examples=300)
CHANCE = st.floats(0, 1, exclude_max=True)
AGE = st.floats(0, 1e6)
POLLS = st.integers(0, 1000)
TIMES = st.tuples(*[st.floats(0.1, 1e5)] * 3).map(sorted).map(lambda times: Usual(*times))
USUAL = st.none() | TIMES
EVERY_15 = Rounds(15.0, 4.0, 5.0)
"""A round comes 4 to 5 seconds from now."""
DONE = Succeeded("https://x/v.mp4", "", 1, None, VideoEcho(), "{}")


@st.composite
def rounds(draw):
    """Rounds whose visit is within a part of each period."""
    period, start = draw(st.floats(5, 60)), draw(st.floats(-60, 60))
    return Rounds(period, start, start + draw(st.floats(0, 0.6)) * period)


@PROPERTY
@given(AGE, POLLS, USUAL, st.none() | rounds(), CHANCE)
def test_the_wait_for_a_poll_is_positive_and_bounded(age, polls, usual, rounds, chance):
    """The next poll never comes at once, and never later than a minute, or a round, after it is worth it."""
    delay = poll_delay(age, polls, usual, rounds, chance)
    worth_it = max(0.0, max(0.6 * usual.typical, usual.first) - age) if usual else 20.0
    assert 0.7 < delay <= worth_it + 60.0 * 1.15 + (2 * rounds.period if rounds else 0)


@PROPERTY
@given(USUAL, st.none() | rounds(), CHANCE)
def test_the_first_poll_is_not_made_at_once(usual, rounds, chance):
    """Nobody asks right after a submission, but when much of the usual time has passed."""
    delay = poll_delay(0.0, 0, usual, rounds, chance)
    assert delay >= (0.6 * usual.typical if usual and usual.typical > 2 else 0.7)
    assert usual or delay > 19.9


@PROPERTY
@given(st.floats(30, 1e4), CHANCE)
def test_polls_are_densest_around_the_usual_end(typical, chance):
    """Around the time that others took, polls come faster than later, and slowest at last."""
    usual = Usual(0.7 * typical, typical, 1.5 * typical)
    at_end, later, last = (poll_delay(part * typical, 2, usual, None, chance) for part in (1.0, 2.0, 5.0))
    assert DENSEST * 0.85 <= at_end <= DENSE * 1.15 < later < last


@PROPERTY
@given(AGE, USUAL)
def test_chance_spreads_the_polls(age, usual):
    """Tasks that were submitted together are not polled together."""
    low, middle, high = (poll_delay(age, 3, usual, None, chance) for chance in (0.0, 0.5, 0.99))
    assert low < middle < high


def test_tasks_that_end_at_the_same_age_are_polled_more_often():
    """If similar tasks differ little, few polls cover the time of their ends, so these can be dense."""
    alike, different = Usual(92, 100, 108), Usual(60, 100, 160)
    assert poll_delay(95, 2, alike, None, 0.5) < 0.5 * poll_delay(95, 2, different, None, 0.5)


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.99])
def test_a_poll_follows_the_visit_of_the_loop(chance):
    """Once the rounds are known and few polls are left, one poll is made after each visit, not between."""
    delay = poll_delay(95, 6, Usual(60, 100, 160), EVERY_15, chance)
    assert 5.0 < delay < 6.0 or 20.0 < delay < 21.0


@pytest.mark.parametrize("chance", [0.0, 0.5, 0.99])
def test_polls_to_spare_lie_around_the_visit(chance):
    """With polls to spare, one comes while the visit is expected and the next one after it."""
    usual = Usual(90, 100, 108)
    first = poll_delay(95, 2, usual, EVERY_15, chance)
    assert 4.0 < first < 5.0
    then = Rounds(15.0, 4.0 - first, 5.0 - first)
    assert 5.0 < first + poll_delay(95 + first, 3, usual, then, chance) < 7.0


def test_visits_far_spread_are_polled_in_parts():
    """If the visit may come within many seconds, polls are spread over them."""
    at, delay = 0.0, 0.0
    delays = []
    while at < 13:
        now = Rounds(25.0, 2.0 - at, 14.0 - at)
        delay = poll_delay(100 + at, 9, Usual(60, 100, 160), now, 0.5)
        at += delay
        delays.append(at)
    assert len(delays) == 3
    assert delays == sorted(delays)
    assert 2.0 < delays[0] < 8.0 < delays[1] < 14.0 < delays[2]


def test_a_task_past_its_time_is_polled_once_a_round_at_most():
    """Past the time that nearly all others took, polls follow visits, ever more rarely."""
    usual = Usual(60, 100, 160)
    wide = Rounds(15.0, 1.0, 9.0)
    assert poll_delay(170, 5, usual, wide, 0.5) > 9.0
    assert poll_delay(500, 5, usual, wide, 0.5) > 40.0


def test_what_is_usual_is_known_after_three():
    """How long a kind takes is known once three have been seen; other kinds say nothing about it."""
    durations = Durations()
    for seconds in (90, 300):
        durations.add("fast 720p", seconds - 5, seconds)
    assert durations.of("fast 720p") is None
    durations.add("fast 720p", 95, 100)
    usual = durations.of("fast 720p")
    assert usual is not None
    assert usual.first < 85
    assert usual.typical == 100
    assert usual.last > 300
    assert durations.of("fast 480p") is None


def test_what_is_usual_follows_the_newest():
    """A gateway that has become slower is waited for longer: the newest 50 count."""
    durations = Durations()
    for seconds in [100] * 200 + [300] * 50:
        durations.add("kind", seconds - 5, seconds)
    usual = durations.of("kind")
    assert usual is not None
    assert usual.typical == 300
    assert 280 < usual.first < 300 < usual.last < 310


@pytest.mark.parametrize("age", [0.0, -500.0])
def test_a_clock_that_was_set_back_is_no_obstacle(age):
    """Ages of no length, or negative ones, still give a wait."""
    seen = Durations()
    for _ in range(4):
        seen.add("any", age, age)
    usual = seen.of("any")
    assert usual == Usual(0.0, 1.0, pytest.approx(1.02))
    assert poll_delay(age, 0, usual, None, 0.5) > 0


def test_an_end_seen_late_does_not_delay_the_next_polls():
    """If the polls before an end were far apart, it may have come earlier: the next are polled earlier."""
    durations = Durations()
    for _ in range(10):
        durations.add("kind", 60, 120)
    usual = durations.of("kind")
    assert usual is not None
    assert usual.first < 105


def test_a_generation_of_an_earlier_run_says_nothing_about_durations():
    """It may have ended while nobody looked: tasks that took the whole night are not usual."""
    schedule = PollSchedule()
    for _ in range(3):
        resumed = Watch("kind", -30_000.0, unfinished=None)
        assert schedule.record(resumed, DONE, 0.0, 0.1)
    assert schedule.delay(Watch("kind", 0.0, unfinished=0.0), 0.0, 0.5) < 30


def test_a_generation_of_an_earlier_run_counts_once_seen_unfinished():
    """If this run saw it unfinished before it ended, its duration is known."""
    schedule = PollSchedule()
    for _ in range(3):
        resumed = Watch("kind", 0.0, unfinished=None)
        assert schedule.record(resumed, InProgress("IN_PROGRESS", "running", ""), 190.0, 190.1)
        assert schedule.record(resumed, DONE, 200.0, 200.1)
    assert schedule.delay(Watch("kind", 0.0, unfinished=0.0), 0.0, 0.5) > 100


def test_only_a_new_state_is_news():
    """An answer that shows the same state, or nothing usable, is no news."""
    schedule, watch = PollSchedule(), Watch("kind", 0.0, unfinished=0.0)
    queued, running = InProgress("QUEUED", "queued", ""), InProgress("IN_PROGRESS", "running", "")
    lost, hidden = QueryFailed(Receipt(502)), NotVisible(Receipt(400))
    answers = [queued, queued, lost, hidden, running, running, queued, DONE]
    news = [schedule.record(watch, answer, float(at), at + 0.1) for at, answer in enumerate(answers)]
    assert news == [True, False, False, False, True, False, True, True]
    assert watch.polls == len(answers)


def test_the_first_answer_says_nothing_about_the_loop():
    """What the gateway showed before the first answer is unknown, so nothing has changed with it."""
    schedule = PollSchedule()
    for task in range(30):
        began = 15.0 * task
        watch = Watch("kind", began, unfinished=began)
        schedule.record(watch, InProgress("QUEUED", "queued", ""), began + 4, began + 5)
    fresh = Watch("kind", 450.0, unfinished=450.0)
    assert schedule.delay(fresh, 450.0, 0.5) == poll_delay(0.0, 0, None, None, 0.5)


def test_many_slots_get_the_polls_that_they_need() -> None:
    """11 of 1,000 tasks of 90 s end each second, which takes up to 9 polls each."""
    assert [most_polls_per_second(slots) for slots in (1, 200, 1_000)] == [20, 20, 100]
