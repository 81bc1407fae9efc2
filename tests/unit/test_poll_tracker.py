"""What repeated polls of one task add up to."""

import pytest

from batchrunner.core.model import AttemptId, Generation, RemoteId, TaskKey
from batchrunner.core.outcome import (
    Echo,
    GenerationFailed,
    InProgress,
    NotVisible,
    QueryFailed,
    QueryRefused,
    Receipt,
    Succeeded,
)
from batchrunner.core.policy import PollTime, after_failure
from batchrunner.core.poll_tracker import GoOn, PollTracker, QueriesRefused, Sightings, Vanished

RECEIPT = Receipt(400, code="task_not_exist")
INVISIBLE, REFUSED, FAILED = NotVisible(RECEIPT), QueryRefused(RECEIPT), QueryFailed(RECEIPT)
SUCCEEDED = Succeeded("", "", None, None, Echo(), "{}")
GONE = GenerationFailed("code", "message", None, "{}")


def running(upstream: str = "running") -> InProgress:
    return InProgress("IN_PROGRESS", upstream, '{"raw": 1}')


def hear(*story: tuple[float, object], tracker: PollTracker | None = None):
    """The last conclusion from answers at their times."""
    tracker = tracker or PollTracker()
    conclusion = None
    for now, answer in story:
        conclusion = tracker.record(answer, now)
    return conclusion


@pytest.mark.parametrize("answer", [SUCCEEDED, GONE])
def test_a_final_state_is_believed_at_once(answer):
    """SUCCESS and FAILURE are the gateway's last word, whatever came before."""
    assert hear((0, answer)) is answer
    assert hear((0, INVISIBLE), (10, FAILED), (20, answer)) is answer


def test_a_task_that_goes_on_decides_nothing():
    """As long as it is in progress, the tracker goes on."""
    assert hear(*[(15.0 * count, running()) for count in range(100)]) == GoOn()


def test_a_task_has_vanished_after_three_in_a_row_over_two_minutes():
    """`task_not_exist` counts from the third in a row on, and only 2 min after the first."""
    assert hear((0, INVISIBLE), (200, INVISIBLE)) == GoOn()
    assert hear((0, INVISIBLE), (60, INVISIBLE), (119, INVISIBLE)) == GoOn()
    assert hear((0, INVISIBLE), (60, INVISIBLE), (120, INVISIBLE)) == Vanished(RECEIPT)
    assert hear(*[(count, INVISIBLE) for count in range(100)]) == GoOn()


@pytest.mark.parametrize("between", [running(), REFUSED])
def test_any_other_answer_about_the_task_resets_the_count(between):
    """PollTime in between, or asked with a key that was refused, the task has not vanished."""
    story = [(0, INVISIBLE), (60, INVISIBLE), (90, between), (120, INVISIBLE), (200, INVISIBLE)]
    assert hear(*story) == GoOn()
    assert hear(*story, (240, INVISIBLE)) == Vanished(RECEIPT)


def test_no_answer_at_all_says_nothing():
    """A lost poll between neither counts towards an end nor starts the count anew."""
    assert hear((0, INVISIBLE), (60, FAILED), (120, INVISIBLE)) == GoOn()
    assert hear((0, INVISIBLE), (60, FAILED), (120, INVISIBLE), (130, INVISIBLE)) == Vanished(RECEIPT)
    assert not isinstance(hear(*[(60.0 * count, FAILED) for count in range(100)]), Vanished)


@pytest.mark.parametrize("word", ["expired", "cancelled", "canceled", "failed", "EXPIRED"])
def test_an_upstream_end_is_believed_after_three_over_five_minutes(word):
    """An end that only the model tells of is believed at the third time, 5 min after the first."""
    ended = running(word)
    assert hear((0, ended), (400, ended)) == GoOn()
    assert hear((0, ended), (150, ended), (299, ended)) == GoOn()
    conclusion = hear((0, ended), (150, ended), (300, ended))
    assert isinstance(conclusion, GenerationFailed)
    assert conclusion.code == f"upstream_{word.lower()}"
    assert word in conclusion.message
    assert conclusion.raw == ended.raw


def test_an_upstream_end_stays_counted_as_spent():
    """The gateway has not said FAILURE, so nothing shows that it gave the money back."""
    conclusion = hear(*[(150.0 * count, running("expired")) for count in range(3)])
    facts = after_failure(conclusion, PollTime(0.0, 300.0)).facts
    assert (facts.tokens, facts.cost) == (None, None)


@pytest.mark.parametrize("word", ["running", "queued", "", "succeeded", "something new"])
def test_a_task_that_goes_on_after_all_resets_the_count(word):
    """Any other upstream word in between starts the count anew."""
    ended = running("expired")
    story = [(0, ended), (150, ended), (200, running(word)), (300, ended), (450, ended)]
    assert hear(*story) == GoOn()
    assert isinstance(hear(*story, (600, ended)), GenerationFailed)


def test_a_refused_query_is_believed_at_the_third_in_a_row():
    """Three refused polls in a row show that the key is refused, not that the task has ended."""
    assert hear((0, REFUSED), (15, REFUSED)) == GoOn()
    assert hear((0, REFUSED), (15, REFUSED), (30, REFUSED)) == QueriesRefused(RECEIPT)
    assert hear((0, REFUSED), (15, FAILED), (30, REFUSED), (45, REFUSED)) == QueriesRefused(RECEIPT)
    for between in (running(), INVISIBLE):
        assert hear((0, REFUSED), (15, REFUSED), (20, between), (30, REFUSED)) == GoOn()


def test_failures_are_counted_in_a_row():
    """How often in a row no answer came is told, with the Retry-After of the last, and an answer ends it."""
    tracker = PollTracker()
    told = [hear((0, QueryFailed(RECEIPT, wait)), tracker=tracker) for wait in (None, 30.0, None)]
    assert told == [GoOn(1), GoOn(2, 30.0), GoOn(3)]
    assert hear((0, running()), tracker=tracker) == GoOn()
    assert hear((0, FAILED), tracker=tracker) == GoOn(1)


def test_tasks_are_watched_apart():
    """What one task's polls add up to says nothing about another's."""
    first, second = PollTracker(), PollTracker()
    hear((0, INVISIBLE), (60, INVISIBLE), tracker=first)
    assert hear((120, INVISIBLE), tracker=second) == GoOn()
    assert hear((120, INVISIBLE), tracker=first) == Vanished(RECEIPT)


def generation(key: str, **given: bool) -> Generation:
    return Generation(TaskKey(key), AttemptId(1), RemoteId(f"task_{key}"), 0.0, 0.0, {}, 1, **given)


def test_an_id_that_a_person_gave_and_nobody_saw_says_nothing_about_the_key():
    """It is gone by itself, and no sign that others are hidden; one that the gateway had, is such a sign."""
    sightings = Sightings()
    for key in ("one", "two"):
        sightings.record(TaskKey(key), INVISIBLE, now=10, is_sure=False)
    assert sightings.is_gone(generation("one", named=True), since=10)
    assert not sightings.is_gone(generation("one"), since=10)
    sightings.record(TaskKey("ours"), INVISIBLE, now=20)
    assert not sightings.is_gone(generation("one", named=True), since=10)
    sightings.record(TaskKey("ours"), running(), now=30)
    assert sightings.is_gone(generation("one", named=True), since=10)


def test_an_id_that_a_person_gave_and_that_was_seen_is_one_like_any_other():
    """Shown once and then not any more, it is gone only where another is seen."""
    sightings = Sightings()
    sightings.record(TaskKey("one"), running(), now=10, is_sure=False)
    sightings.record(TaskKey("one"), INVISIBLE, now=20, is_sure=False)
    assert not sightings.is_gone(generation("one", named=True), since=20)


def test_a_task_is_gone_only_where_another_is_seen():
    """One that was seen since vouches; none that was seen before, has vanished itself, or is the task."""
    gone, other = TaskKey("1-gone"), TaskKey("1-other")
    sightings = Sightings()
    sightings.record(other, running(), now=10)
    sightings.record(gone, INVISIBLE, now=20)
    assert sightings.vouched(gone, since=10)
    assert not sightings.vouched(gone, since=20)
    assert not sightings.vouched(other, since=0)
    sightings.record(other, INVISIBLE, now=30)
    assert not sightings.vouched(gone, since=10)
    sightings.record(other, running(), now=40)
    assert sightings.vouched(gone, since=20)
