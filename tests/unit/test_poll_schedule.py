"""When to poll a task again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.poll_schedule import GATEWAY_REFRESH, Typical, poll_delay

PROPERTY = settings(max_examples=300)
CHANCE = st.floats(0, 1, exclude_max=True)
AGE = st.floats(0, 1e6)
TYPICAL = st.none() | st.floats(0, 1e5)


@PROPERTY
@given(AGE, TYPICAL, CHANCE)
def test_the_wait_for_a_poll_is_positive_and_bounded(age, typical, chance):
    """The next poll never comes at once, and never later than a minute or the rest of the usual time."""
    delay = poll_delay(age, typical, chance)
    assert 5.0 <= delay <= max(60.0, 0.6 * (typical or 0)) * 1.15


@PROPERTY
@given(TYPICAL, CHANCE)
def test_the_first_poll_is_not_made_at_once(typical, chance):
    """Nobody asks right after a submission: at half a refresh of the gateway, or much of the usual time."""
    delay = poll_delay(0.0, typical, chance)
    if typical is None:
        assert delay >= GATEWAY_REFRESH
    elif typical > 25:
        assert delay >= 0.5 * typical


@PROPERTY
@given(st.floats(30, 1e4), CHANCE)
def test_polls_are_densest_around_the_usual_end(typical, chance):
    """Around the time that others took, polls come faster than later, and slowest at last."""
    at_end, later, last = (poll_delay(factor * typical, typical, chance) for factor in (1.0, 2.0, 5.0))
    assert at_end < later < last


@PROPERTY
@given(AGE, TYPICAL)
def test_chance_spreads_the_polls(age, typical):
    """Tasks that were submitted together are not polled together."""
    assert poll_delay(age, typical, 0.0) < poll_delay(age, typical, 0.5) < poll_delay(age, typical, 0.99)


def test_a_typical_time_is_known_after_three():
    """How long a kind takes is its median, once three have been seen; other kinds say nothing about it."""
    typical = Typical()
    for seconds in (90, 300):
        typical.add("fast 720p", seconds)
    assert typical.of("fast 720p") is None
    typical.add("fast 720p", 100)
    assert typical.of("fast 720p") == 100
    assert typical.of("fast 480p") is None


def test_the_typical_time_follows_the_newest():
    """A gateway that has become slower is waited for longer: the newest 50 count."""
    typical = Typical()
    for seconds in [100] * 200 + [300] * 50:
        typical.add("kind", seconds)
    assert typical.of("kind") == 300
