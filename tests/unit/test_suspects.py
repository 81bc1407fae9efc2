"""Whose trouble a refusal is: the task's own only while others of its model are accepted."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import NotAdmitted, Receipt, Refusal
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.suspects import Suspects, own_wait

BUSY = NotAdmitted(Refusal.GATEWAY_BUSY, Receipt(500, code="fail_to_fetch_task"))


def told(*story: str, model: str = "fast") -> list[bool]:
    """Tell a story of `name+` (accepted) and `name-` (refused); whether each refusal counts."""
    suspects, counted = Suspects(), []
    for word in story:
        task = Waiting(0, TaskKey(word[:-1]), "slow" if word.startswith("other") else model)
        if word.endswith("+"):
            suspects.accepted(task)
        else:
            counted.append(suspects.refused(task, BUSY, 0.5).counts)
    return counted


def test_refusals_do_not_count_while_no_task_is_accepted():
    """Where nobody is accepted it is the gateway's trouble."""
    assert told(*["bad-"] * 9, *["a-", "b-"] * 3) == [False] * 15


def test_a_task_that_is_refused_while_others_are_accepted_is_in_trouble():
    """Each refusal counts from the first acceptance on, also when no other task is left."""
    assert told("bad-", "a+", "bad-", "b+", "bad-", "bad-") == [False, True, True, True]


def test_another_models_acceptance_says_nothing():
    """A model in trouble is no task's trouble."""
    assert told("bad-", "other+", "bad-", "other+", "bad-") == [False] * 3


def test_an_outage_counts_against_nobody():
    """Others that were never in trouble are refused too: after the first refusal none counts."""
    assert told("a+", "b-", "c-", "d-", "b-", "c-", "d-", "b-") == [True] + [False] * 6


def test_two_tasks_in_trouble_do_not_excuse_each_other():
    """Both were refused while others were accepted; left alone, each is judged by that."""
    story = ["a+", "x-", "b+", "y-", "c+", "x-", "y-", "x-", "y-"]
    assert told(*story) == [True] * 6


def test_refusals_that_pass_count_against_nobody():
    """A task that was refused and is accepted later shows that a refusal may be chance."""
    assert told("a+", "x-", "b+", "y-", "y+", "x-") == [True, True, False]


def test_a_refusal_that_no_task_could_avoid_does_not_count():
    """No connection, or no channel for the model: no count and no wait of the task's own."""
    for why in (Refusal.UNREACHABLE, Refusal.MODEL_UNAVAILABLE):
        suspects = Suspects()
        suspects.accepted(Waiting(0, TaskKey("a"), "fast"))
        judged = suspects.refused(Waiting(1, TaskKey("b"), "fast"), NotAdmitted(why, Receipt()), 0.5)
        assert (judged.counts, judged.wait) == (False, 0.0)


def test_a_known_trouble_spares_the_others():
    """Only once others were accepted after a refusal that counted does the next one pause nobody else."""
    suspects, bad = Suspects(), Waiting(1, TaskKey("bad"), "fast")
    suspects.accepted(Waiting(0, TaskKey("a"), "fast"))
    early = [suspects.refused(bad, BUSY, 0.5) for _ in range(2)]
    suspects.accepted(Waiting(2, TaskKey("b"), "fast"))
    known = suspects.refused(bad, BUSY, 0.5)
    assert [judged.counts for judged in (*early, known)] == [True] * 3
    assert [judged.spares_others for judged in (*early, known)] == [False, False, True]


def test_a_refusal_that_names_a_time_is_the_accounts_limit():
    """429 with Retry-After counts against no task, whatever others get meanwhile."""
    suspects = Suspects()
    suspects.accepted(Waiting(0, TaskKey("a"), "fast"))
    asked = NotAdmitted(Refusal.THROTTLED, Receipt(429), 1200.0)
    assert not suspects.refused(Waiting(1, TaskKey("bad"), "fast"), asked, 0.5).counts


@settings(derandomize=True, deadline=None, database=None)
@given(st.floats(0, 1, exclude_max=True))
def test_a_tasks_own_wait_grows_and_is_never_nothing(chance):
    """It stays behind the others at least 5 s; full jitter above that, up to 305 s."""
    waits = [own_wait(tries, chance) for tries in range(1, 30)]
    assert all(earlier <= later for earlier, later in itertools.pairwise(waits))
    assert 5.0 <= waits[0] <= 15.0
    assert waits[-1] <= 305.0
