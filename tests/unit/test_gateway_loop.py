"""What is learned about the gateway's refresh loop from the times at which its answers changed."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.gateway_loop import GatewayLoop, Rounds

PROPERTY = settings(max_examples=200)


def sightings(visits, gap, seed):
    """For each visit, a poll before and one after it, about `gap` seconds apart."""
    dice = random.Random(seed)
    for visit in visits:
        width = dice.uniform(0.5, 1.0) * gap
        after = visit - dice.random() * width
        yield after, after + width


def learned(visits, gap, seed=1):
    loop = GatewayLoop()
    for after, by in sightings(visits, gap, seed):
        loop.saw(after, by)
    return loop


def lies_in(rounds, moment):
    """Whether a moment, in seconds from now, lies in one of the rounds, or less than a second beside it."""
    return (moment - rounds.start + 1.0) % rounds.period <= rounds.end - rounds.start + 2.0


@PROPERTY
@given(st.floats(14.9, 15.1), st.floats(0, 1000), st.sets(st.integers(0, 29), min_size=25), st.integers())
def test_the_phase_of_a_regular_loop_is_learned(period, phase, turns, seed):
    """From changes, each between two polls, it is known when the next visit may come."""
    visits = [phase + turn * period for turn in sorted(turns)]
    now = visits[-1] + 7
    rounds = learned(visits, 4.0, seed).expected(now)
    assert rounds is not None
    assert lies_in(rounds, visits[-1] + period - now)
    assert math.isclose(rounds.period, period, rel_tol=0.02)


def test_a_loop_that_lengthens_is_followed():
    """When rounds take longer from one to the next, the expected moments move along."""
    visits, period = [100.0], 15.0
    for _ in range(300):
        period *= 1.0005
        visits.append(visits[-1] + period)
    rounds = learned(visits, 4.0).expected(visits[-1])
    assert rounds is not None
    assert abs(rounds.period - period) < 0.5
    assert lies_in(rounds, period)


def test_without_a_loop_nothing_is_expected():
    """Answers that change at any time never look like a loop."""
    dice = random.Random(5)
    for seed in range(10):
        loop, now = GatewayLoop(), 0.0
        for after, by in sightings(sorted(dice.uniform(0, 900) for _ in range(100)), 7.5, seed):
            loop.saw(after, by)
            now = by
        assert loop.expected(now) is None


def test_few_sightings_prove_nothing():
    """A handful of changes fits any loop."""
    assert learned([100, 115, 130], 6.0).expected(140) is None


def test_wide_sightings_prove_nothing():
    """A change between two polls that are a round apart fits any loop, however often it is seen."""
    loop = GatewayLoop()
    for turn in range(100):
        loop.saw(15.0 * turn, 15.0 * turn + 14)
    assert loop.expected(1500) is None


def test_many_sightings_of_one_visit_count_once():
    """A hundred tasks that end in the same round say no more about the loop than one."""
    loop = GatewayLoop()
    for task in range(100):
        loop.saw(100 - 0.01 * task, 101 + 0.01 * task)
    assert loop.expected(110) is None


def test_the_narrowest_sighting_of_a_visit_is_kept():
    """Of several sightings of the same visits, the closest ones decide."""
    loop = GatewayLoop()
    for turn in range(20):
        visit = 15.0 * turn
        for width in (6.0, 1.0, 4.0):
            loop.saw(visit - width / 2, visit + width / 2)
    rounds = loop.expected(300.0)
    assert rounds is not None
    assert rounds.end - rounds.start < 1.5


def test_long_after_the_last_sighting_less_is_certain():
    """A loop may drift: the longer it has not been seen, the less sure is the moment; at last, nothing is."""
    loop = learned([15.0 * turn for turn in range(20)], 2.0)
    spreads = [rounds.end - rounds.start for now in (300, 400, 500) if (rounds := loop.expected(now))]
    assert len(spreads) == 3
    assert spreads == sorted(set(spreads))
    assert loop.expected(3000) is None


def test_a_loop_that_restarts_is_learned_again():
    """When a restarted gateway comes by at other moments, the old ones are soon forgotten."""
    visits = [15.0 * turn for turn in range(40)] + [607.0 + 15.0 * turn for turn in range(30)]
    rounds = learned(visits, 4.0).expected(visits[-1])
    assert rounds is not None
    assert rounds.end - rounds.start < 4
    assert lies_in(rounds, 15.0)


@pytest.mark.parametrize(("after", "moment"), [(0, 4), (4, 6), (5, 6), (6, 19), (100, 109), (-40, -39)])
def test_the_next_moment_of_a_round(after, moment):
    """Moments are counted from the start of a round, and repeat with each."""
    assert Rounds(15.0, 3.0, 5.0).first((1.0, 3.0), after) == moment


def test_wide_sightings_do_not_displace_narrow_ones():
    """Many changes between polls far apart say nothing, and what was known before stays known."""
    loop = learned([15.0 * turn for turn in range(24)], 2.0)
    for task in range(30):
        loop.saw(300.0 + 2.5 * task, 360.0 + 2.5 * task)
    assert loop.expected(360.0) is not None
