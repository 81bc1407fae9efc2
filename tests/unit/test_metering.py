"""What a key was charged beyond its usage log: readings of the used quota, held against the log's rows."""

from typing import Any

import pytest

from batchrunner.core.doubts.adoption import NEWEST_ROWS, UsageRow
from batchrunner.core.doubts.metering import MeterReading, charged_beyond

START = 1_700_000_000.0
HOLD, PRICE = 700, 480


def row(at: float, quota: int | None, **given: Any) -> UsageRow:
    """A row of the log, `at` so many seconds after the first reading."""
    usual: dict[str, Any] = {"model": "m", "request_id": "r", "remote_id": None, "is_submission": False}
    return UsageRow(at=START + at, quota=quota, **usual | given)


def hold(at: float) -> UsageRow:
    """The row of a submission."""
    return row(at, HOLD, is_submission=True)


def refund(at: float, quota: int) -> UsageRow:
    """A row that gives back."""
    return row(at, quota, is_refund=True)


def beyond(used: int, *rows: UsageRow, on_their_way: int = 0) -> int:
    """What was charged beyond these rows in ten minutes that cost `used` units."""
    found = charged_beyond(
        MeterReading(10_000, START + 0.4), 10_000 + used, 10_000 + used, rows, on_their_way
    )
    return found.certain


@pytest.mark.parametrize(
    ("used", "rows", "units"),
    [
        (HOLD, [hold(5)], 0),
        (PRICE, [hold(5), refund(60, HOLD - PRICE)], 0),
        (0, [hold(5), refund(60, HOLD)], 0),
        (HOLD + 90, [hold(5), row(60, 90)], 0),
        (2 * HOLD, [hold(5)], HOLD),
        (HOLD, [hold(-5)], HOLD),
        (HOLD, [], HOLD),
        (0, [hold(5)], 0),
    ],
    ids=["held", "settled for less", "failed", "settled for more", "no row", "earlier", "no log", "negative"],
)
def test_quota_used_beyond_the_rows_is_counted(used: int, rows: list[UsageRow], units: int) -> None:
    """Holds and settlements charge, refunds give back; rows from before the first reading don't count."""
    assert beyond(used, *rows) == units


def test_a_row_from_the_second_of_the_first_reading_explains_quota() -> None:
    """Rows are stamped in whole seconds: it may be of before or after, and nothing is claimed."""
    assert beyond(HOLD, row(0, HOLD, is_submission=True)) == 0


def test_submissions_on_their_way_hold_quota_and_have_no_row_yet() -> None:
    """Each as much as the largest hold seen; where none was seen nothing is told."""
    assert beyond(3 * HOLD, hold(5), on_their_way=2) == 0
    assert beyond(3 * HOLD, hold(5), on_their_way=1) == HOLD
    assert beyond(HOLD, on_their_way=1) == 0
    assert charged_beyond(MeterReading(0, START), HOLD, HOLD, [hold(-5)], 1).may_be, "it may be a lost hold"


@pytest.mark.parametrize(("before", "after"), [(HOLD, 2 * HOLD), (2 * HOLD, HOLD)])
def test_rows_that_arrive_between_two_readings_prove_nothing(before: int, after: int) -> None:
    """One reading has it and the other hasn't: nothing is certain, and something is possible."""
    found = charged_beyond(MeterReading(0, START), before, after, [hold(5)], 0)
    assert (found.certain, found.possible, found.may_be) == (0, HOLD, True)


def test_some_rows_may_explain_any_amount() -> None:
    """A row without its quota, and a log whose older rows are gone: nothing is told."""
    assert beyond(5 * HOLD, row(5, None, is_submission=True)) == 0
    assert beyond(10**9, *[hold(300)] * NEWEST_ROWS) == 0


@pytest.mark.parametrize("second", [-1, 0])
def test_a_charge_beside_the_first_reading_excuses_no_lost_hold(second: int) -> None:
    """The reading may hold it already, so that the growth since is another's; what is ours came later."""
    beside = row(second, HOLD, is_submission=True)
    again = [beside, hold(5), refund(60, HOLD)]  # `beside` was given back since, and a hold was lost
    found = charged_beyond(MeterReading(HOLD, START + 0.4), 2 * HOLD, 2 * HOLD, again, 0)
    assert (found.certain, found.may_be) == (0, True)
    for later in ({"r"}, {"task_1"}):
        ours = [row(0, HOLD, is_submission=True, remote_id="task_1")]
        assert not charged_beyond(MeterReading(0, START), HOLD, HOLD, ours, 0, later).may_be
