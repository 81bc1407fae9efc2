"""What happened over time: pauses are left out, and nothing is counted twice or lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.timeline import BARS, LEAST_PAUSE, InFlight, histogram, timeline

STAYS = st.builds(
    lambda began, lasted, cost: InFlight(began, began + lasted, began + lasted + 5, cost),
    st.floats(0, 1e6),
    st.floats(0.1, 1e5),
    st.integers(0, 5).map(float),
)


def test_nothing_submitted_is_nothing_to_draw():
    assert timeline([]).edges == ()
    assert histogram([]) is None


def test_pause_is_left_out():
    """Two nights are drawn beside each other, and the day between them is not."""
    line = timeline([InFlight(0, 100, 100), InFlight(100_000, 100_100, 100_100)], steps=10)
    assert line.edges == (0, 20, 40, 60, 80, 100_000, 100_020, 100_040, 100_060, 100_080)
    assert line.in_flight == (1.0,) * 10
    assert line.collected == (0, 0, 0, 0, 1, 0, 0, 0, 0, 1)


def test_short_gap_is_drawn_empty():
    line = timeline([InFlight(0, 100), InFlight(300, 400)], steps=4)
    assert line.in_flight == (1.0, 0.0, 0.0, 1.0)
    assert LEAST_PAUSE > 200


@given(st.lists(STAYS, min_size=1, max_size=30))
def test_sums_are_kept(stays):
    """Every video, every second in flight and all money is in exactly one step."""
    line = timeline(stays)
    assert sum(line.collected) == len(stays)
    assert line.spent[-1] == pytest.approx(sum(stay.cost for stay in stays))
    assert list(line.spent) == sorted(line.spent)
    seconds = sum(
        mean * (end - edge) for mean, edge, end in zip(line.in_flight, line.edges, line.ends, strict=True)
    )
    assert seconds == pytest.approx(sum(stay.ended - stay.began for stay in stays), rel=1e-2, abs=1.0)


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=200))
def test_histogram_counts_all(seconds):
    """Each time is in one bar, and the bars are few."""
    found = histogram(seconds)
    assert found is not None
    assert sum(found.counts) == len(seconds)
    assert len(found.counts) <= BARS + 2
    assert found.start <= min(seconds)
    assert found.start + found.width * len(found.counts) >= max(seconds)
    assert found.median <= found.slow or len(seconds) < 3
