"""The extreme of a number over a sliding window, against looking at every value."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.submission.sliding import Extreme

changes = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), max_size=30)


@pytest.mark.parametrize("choose", [max, min])
@given(changes=changes, seconds=st.integers(0, 8))
def test_it_is_what_looking_at_every_value_gives(
    choose: Callable[..., int], changes: list[tuple[int, int]], seconds: int
) -> None:
    extreme, value, now = Extreme(seconds, 5, choose), 5, 0
    ended: list[tuple[int, int]] = []
    for new, later in changes:
        now += later
        extreme.note(new, now)
        if new != value:
            ended.append((value, now))
            value = new
        assert extreme.at(now) == choose([value, *(old for old, end in ended if end >= now - seconds)])
