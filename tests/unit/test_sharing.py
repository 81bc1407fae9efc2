"""Whose turn is it? Slots are shared by weight, and only between runs that want one."""

from collections import Counter

from batchrunner.core.submission.sharing import Claim, Turns


def fill(weights: dict[int, int], slots: int) -> Counter[int]:
    """Give so many slots to runs that all want more."""
    turns, taken = Turns(), Counter()
    for _ in range(slots):
        claims = [Claim(run, taken[run], weight) for run, weight in weights.items()]
        chosen = turns.first(claims)
        turns.took(chosen)
        taken[chosen.run] += 1
    return taken


def one_after_the_other(turns: Turns, weights: dict[int, int], times: int) -> list[int]:
    """A single slot, which is free again each time."""
    order = []
    for _ in range(times):
        chosen = turns.first([Claim(run, 0, weight) for run, weight in weights.items()])
        turns.took(chosen)
        order.append(chosen.run)
    return order


def test_slots_are_shared_by_weight():
    """Weights 1, 2 and 3 share twelve slots as 2, 4 and 6."""
    assert fill({1: 1, 2: 2, 3: 3}, 12) == {1: 2, 2: 4, 3: 6}


def test_a_small_weight_gets_a_slot_of_its_own():
    """Nobody is left without a slot for good, however large the other weights are."""
    assert fill({1: 1, 2: 100}, 4) == {1: 1, 2: 3}


def test_with_fewer_slots_than_runs_turns_follow_the_weights():
    """One slot for two runs: the heavier one gets twice as many turns."""
    assert Counter(one_after_the_other(Turns(), {1: 1, 2: 2}, 30)) == {1: 10, 2: 20}


def test_a_run_that_asked_for_nothing_saves_up_no_turns():
    """After a long pause, a run gets its share from now on, not what it missed."""
    turns = Turns()
    one_after_the_other(turns, {1: 1}, 100)
    assert Counter(one_after_the_other(turns, {1: 1, 2: 1}, 10)) == {1: 5, 2: 5}
