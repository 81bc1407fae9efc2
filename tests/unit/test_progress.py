"""A run's figures in words: what is promised, and what is not."""

from typing import Any

import pytest

from batchrunner.core.progress import (
    WINDOW,
    CollectionRate,
    Money,
    Progress,
    attention,
    one_line,
    pace_in_words,
    rate_in_words,
    wrapped,
)
from batchrunner.core.states import TaskState
from batchrunner.core.text import columns

HALF_WAY = {TaskState.DONE: 40, TaskState.PENDING: 50, TaskState.GENERATING: 8, TaskState.FAILED: 2}


def progress(**others: Any) -> Progress:
    values: dict[str, Any] = {"counts": HALF_WAY, "rate": 0.1, "slots": 8, "most_slots": 8}
    return Progress(**values | others)


def test_the_rate_is_that_of_the_last_minutes() -> None:
    """What was collected long ago doesn't count; too few say nothing."""
    rate = CollectionRate(began=0.0)
    for at in (10.0, 20.0):
        rate.collected(at)
    assert rate.rate(60.0) is None
    rate.collected(30.0)
    assert rate.rate(60.0) == pytest.approx(3 / 60)
    for number in range(60):
        rate.collected(1000.0 + 10 * number)
    assert rate.rate(1600.0) == pytest.approx(60 / WINDOW)
    assert rate.rate(5000.0) is None


def test_a_finish_is_promised_only_while_tasks_are_submitted() -> None:
    """58 tasks at 6 a minute; nothing while they are held back, or if none is left or the rate is unknown."""
    assert progress().seconds_left == pytest.approx(580.0)
    assert progress(waiting_for="rate-limited").seconds_left is None
    assert progress(rate=None).seconds_left is None
    assert progress(counts={TaskState.DONE: 9}).seconds_left is None
    in_flight = {TaskState.DONE: 40, TaskState.GENERATING: 6}
    assert progress(counts=in_flight, waiting_for="budget reached").seconds_left == pytest.approx(60.0)


def test_what_matters_most_comes_first() -> None:
    """The finish, then rate, slots and money; a run in another process doesn't tell how many slots it has."""
    money = Money(spent=12_300_000, reserved=1_100_000, currency="EUR")
    first, *others = pace_in_words(progress(money=money), 1_000_000_000.0)
    assert first.startswith("finish about ")
    assert first.endswith("(10 min left)")
    assert others == ["6.0 a minute", "8 of 8 slots", "12.30 EUR spent, 1.10 reserved"]
    elsewhere = progress(rate=None, most_slots=None, money=Money(5, 0, ""))
    assert pace_in_words(elsewhere, 0.0) == ["8 in flight"]


def test_a_finish_on_another_day_has_its_date() -> None:
    """A time of day alone would be taken for today's."""
    (first, *_) = pace_in_words(progress(rate=58 / 200_000), 1_000_000_000.0)
    assert first.startswith("finish about 2001-09-11 ")


def test_a_slow_rate_is_told_by_the_hour() -> None:
    """Less than one a minute."""
    assert (rate_in_words(1 / 60), rate_in_words(0.01)) == ("1.0 a minute", "36.0 an hour")


def test_lines_are_wrapped_between_parts() -> None:
    """No part is broken, and no line is wider than the terminal unless one part is; wide characters count."""
    parts = ["finish about 14:32", "6.0 a minute", "猫猫猫猫猫猫猫猫", "8 of 8 slots"]
    lines = wrapped(parts, 36)
    assert " · ".join(lines).split(" · ") == parts
    assert max(map(columns, lines)) <= 36
    assert wrapped(parts, 5) == parts
    assert wrapped(parts, 200) == [" · ".join(parts)]


def test_a_line_for_a_log_has_all_of_it() -> None:
    """What needs a person, with the newest failure, and why nothing is submitted."""
    counts = HALF_WAY | {TaskState.IN_DOUBT: 1}
    assert attention(progress(counts=counts)) == "1 in doubt · 2 failed"
    line = one_line(progress(counts=counts, waiting_for="disk is full"), 0.0, "failed bee")
    assert line.startswith("40 of 101 tasks done · 1 in doubt · 2 failed (newest: failed bee)")
    assert line.endswith(" · 8 of 8 slots · disk is full")
    assert attention(progress(counts={TaskState.DONE: 1})) == ""
