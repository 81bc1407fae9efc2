"""The hours of a run as plain values: midnight, both changes of the clocks, and deadlines."""

import itertools
import math
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.errors import ExitCode
from batchrunner.core.submission.decision import Go, Hold, Situation, Stop
from batchrunner.core.submission.hours import Hours, Window, ends_at, parse_deadline
from batchrunner.core.submission.window import WindowGate

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86400.0
times = st.times(max_value=time(23, 59)).map(lambda at: at.replace(minute=at.minute, second=0, microsecond=0))
windows = st.builds(Window, times, times).filter(lambda window: window.begin != window.end)
zones = st.sampled_from(
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata", "UTC"]
).map(ZoneInfo)
moments = st.integers(1_700_000_000, 2_000_000_000).map(float)


def utc(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[misc,arg-type]


def span(window: str, *day: int) -> tuple[float, float]:
    """The hours in UTC, as fractions since that day's midnight, of the window that begins on it in Berlin."""
    midnight = utc(*day)
    found = Window.parse(window).spans(midnight + DAY / 2, BERLIN)
    return next(((a - midnight) / 3600, (b - midnight) / 3600) for a, b in found if a >= midnight - 3 * 3600)


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ("02:30-05:00", (1.0, 3.0)),  # begins in the gap: when it ends, 03:00 CEST
        ("01:00-02:30", (0.0, 1.0)),  # ends in the gap
        ("00:30-04:00", (-0.5, 2.0)),  # the gap lies within
        ("03:00-04:00", (1.0, 2.0)),  # begins when the gap ends
    ],
)
def test_a_time_that_is_skipped_is_the_end_of_the_gap(window, hours):
    """On 2027-03-28 in Berlin, 02:00 to 03:00 does not exist; 03:00 is 01:00 UTC."""
    assert span(window, 2027, 3, 28) == hours


def test_a_window_within_the_gap_does_not_open_on_that_day():
    """No clock shows any of its times; the next day it opens as usual."""
    assert span("02:10-02:50", 2027, 3, 28) == (24 + 10 / 60, 24 + 50 / 60)


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ("02:30-05:00", (0.5, 4.0)),  # begins at the first 02:30
        ("01:00-02:30", (-1.0, 0.5)),  # ends at the first 02:30
        ("02:10-02:50", (10 / 60, 50 / 60)),  # opens once, and for its usual length
        ("01:30-04:00", (-0.5, 3.0)),
    ],
)
def test_a_time_that_happens_twice_is_the_first(window, hours):
    """On 2027-10-31 in Berlin, 02:00 to 03:00 happens twice; the first 02:00 is 00:00 UTC."""
    assert span(window, 2027, 10, 31) == pytest.approx(hours)


@given(windows, zones, moments)
def test_it_opens_once_a_day_whatever_the_clocks_do(window, zone, wall):
    """Openings are about a day apart, windows don't overlap, and each is as long as usual, ± a change."""
    spans = list(window.spans(wall, zone))
    usual = (datetime.combine(datetime(2027, 1, 2), window.end) - datetime(2027, 1, 2)) - (
        datetime.combine(datetime(2027, 1, 2), window.begin) - datetime(2027, 1, 2)
    )
    length = usual.total_seconds() % DAY
    for (opens, closes), (next_opens, _) in itertools.pairwise(spans):
        assert closes <= next_opens
        assert next_opens - opens == pytest.approx(DAY, abs=3600) or next_opens - opens > 1.9 * DAY
        assert closes - opens == pytest.approx(length, abs=3600)


@given(windows, zones, moments)
def test_far_from_a_change_it_is_open_while_clocks_show_its_hours(window, zone, wall):
    """What a clock on the wall says decides, past midnight too."""
    shows = datetime.fromtimestamp(wall, zone)
    near = {datetime.fromtimestamp(wall + day * DAY, zone).utcoffset() for day in (-2, -1, 0, 1, 2)}
    if len(near) > 1:
        return
    now, begin, end = shows.time(), window.begin, window.end
    expected = begin <= now < end if begin < end else now >= begin or now < end
    assert Hours(zone, window=window).is_open(0, wall) is expected


@given(windows, zones, moments)
def test_it_stays_as_it_is_until_the_next_change(window, zone, wall):
    """Between two changes nothing changes, and the next opening is in the future."""
    hours = Hours(zone, window=window)
    changes = hours.changes_at(wall)
    assert wall < changes <= hours.opens_at(wall)
    assert hours.is_open(0, (wall + changes) / 2) is hours.is_open(0, wall) is hours.is_open(0, changes - 1)
    assert hours.is_open(0, hours.opens_at(wall))


def test_midnight_may_be_written_either_way():
    """24:00 is the midnight at the end of the day, as is 00:00; one digit is enough for an hour."""
    assert Window.parse("18:00-24:00") == Window.parse("18:00-0:00") == Window(time(18), time(0))
    assert Hours(window=Window.parse("18:00-24:00")).is_open(0, utc(2027, 1, 1, 23, 59))
    for same in ("07:00-7:00", "0:00-24:00"):
        with pytest.raises(ValueError, match="same time"):
            Window.parse(same)


def test_without_any_limit_it_is_always_open():
    """The default has no hours, and nothing to wait for."""
    hours = Hours()
    assert (hours.are_limited, hours.is_open(1e12, 1e12), hours.changes_at(0)) == (False, True, math.inf)


@pytest.mark.parametrize(
    ("text", "deadline"),
    [
        ("90s", timedelta(seconds=90)),
        ("1.5h", timedelta(minutes=90)),
        ("07:00", time(7)),
        ("2027-03-28 07:00", datetime(2027, 3, 28, 7)),
        ("2027-03-28T07:00:30Z", datetime(2027, 3, 28, 7, 0, 30, tzinfo=UTC)),
    ],
)
def test_a_deadline_is_a_duration_a_time_or_a_date(text, deadline):
    """Three forms that can't be confused; a date that doesn't exist is refused."""
    assert parse_deadline(text) == deadline
    with pytest.raises(ValueError, match="day"):
        parse_deadline("2027-02-30 07:00")


@pytest.mark.parametrize(
    ("deadline", "start", "ends"),
    [
        (time(7), (2027, 1, 1, 5), (2027, 1, 1, 6)),
        (time(7), (2027, 1, 1, 6), (2027, 1, 2, 6)),  # the very moment: the next one is meant
        (time(2, 30), (2027, 3, 27, 20), (2027, 3, 28, 1)),  # skipped
        (time(2, 30), (2027, 10, 30, 20), (2027, 10, 31, 0, 30)),  # twice
        (time(2, 30), (2027, 10, 31, 0, 45), (2027, 11, 1, 1, 30)),  # between the two
        (datetime(2027, 7, 1, 7), (2028, 1, 1), (2027, 7, 1, 5)),
        (datetime(2027, 7, 1, 7, tzinfo=UTC), (2027, 1, 1), (2027, 7, 1, 7)),
    ],
)
def test_a_deadline_is_the_next_such_time_in_the_zone(deadline, start, ends):
    """A date without an offset is in the zone, too; it may be in the past."""
    assert ends_at(deadline, utc(*start), BERLIN) == utc(*ends)


# --- the gate -----------------------------------------------------------------------------------------

NIGHT = Hours(BERLIN, "Europe/Berlin", Window.parse("22:00-07:00"))
NOON = utc(2027, 1, 1, 12)


def decided(hours: Hours, wall: float, now: float = 0.0, in_flight: int = 0) -> object:
    return WindowGate(hours).decide(Situation(now, in_flight, 0, wall=wall))


def test_outside_the_window_the_run_ends_when_nothing_is_in_flight():
    """With something in flight it waits for that; without, it ends with 75 and says when to start again."""
    assert decided(NIGHT, utc(2027, 1, 1, 21)) == Go()
    waiting, stop = decided(NIGHT, NOON, in_flight=1), decided(NIGHT, NOON)
    assert isinstance(waiting, Hold)
    assert isinstance(stop, Stop)
    assert stop.exit_code == ExitCode.UNFINISHED
    assert "22:00-07:00 (Europe/Berlin)" in stop.why
    assert "2027-01-01 22:00 Europe/Berlin" in stop.hint


@pytest.mark.parametrize("in_flight", [0, 1])
@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (Hours(ends_at=NOON), "2027-01-01 12:00 UTC"),
        (Hours(ends_after=7200.0), "2 h 00 min after the start"),
        (Hours(ends_at=NOON, stays_over=True), "`run.deadline`"),
        (Hours(window=Window.parse("22:00-07:00"), detaches=True), "2027-01-01 22:00"),
    ],
)
def test_after_the_deadline_or_when_it_detaches_submission_ends_for_good(hours, words, in_flight):
    """Whatever is in flight: what is said is the time, and what to do."""
    stop = decided(hours, NOON, now=7200.0, in_flight=in_flight)
    assert isinstance(stop, Stop)
    assert words in f"{stop.why} {stop.hint}"
    assert decided(hours, utc(2026, 12, 31, 23), now=7199.0) == Go()
