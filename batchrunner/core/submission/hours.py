"""The hours in which a run may submit: a daily window and a deadline, as plain values.

Times of day are those that the clocks of the time zone show. A time that happens twice, when clocks are set
back, is the first of the two; one that is skipped, when they are set forward, is the moment after the gap.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

Deadline = timedelta | time | datetime
"""A time after the start of the run, the next such time of day, or a date with time."""

_UNITS = {"s": 1, "m": 60, "h": 3600}
_NEAR_DAYS = range(-2, 4)
"""Windows that begin on one of these days, counted from today, include the current and the next one."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of each day; past midnight if it ends before it begins."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Window:
        """Parse `22:00-07:00`; `24:00` is midnight.

        Raises:
            ValueError: it is not in this form, or begins when it ends.
        """
        begin, _, end = text.partition("-")
        window = cls(_time(begin), time() if end.strip() == "24:00" else _time(end))
        if window.begin == window.end:
            raise ValueError("begins and ends at the same time")
        return window

    def spans(self, wall: float, zone: tzinfo) -> Iterator[tuple[float, float]]:
        """When it opens and closes on the days around `wall`, in order; all in Unix seconds.

        A window that lies in the hour skipped when clocks are set forward doesn't open on that day.
        """
        today = datetime.fromtimestamp(wall, zone).date()
        for day in _NEAR_DAYS:
            begins = today + timedelta(days=day)
            ends = begins if self.begin < self.end else begins + timedelta(days=1)
            opens, closes = _at(begins, self.begin, zone), _at(ends, self.end, zone)
            if opens < closes:
                yield opens, closes

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


@dataclass(frozen=True, slots=True)
class Hours:
    """When submissions may be sent; always, by default."""

    zone: tzinfo = UTC
    zone_name: str = "UTC"
    window: Window | None = None
    ends_at: float = math.inf
    """The deadline, if it is a time of day or a date, in Unix seconds."""
    ends_after: float = math.inf
    """The deadline, if it is a duration, in nominal seconds of the run's clock."""
    stays_over: bool = False
    """Whether the deadline is a date: it has passed for later runs, too."""
    detaches: bool = False
    """Whether the run then ends at once, and leaves what is in flight to the next one."""

    @property
    def are_limited(self) -> bool:
        """Whether there is a window or a deadline."""
        return self.window is not None or min(self.ends_at, self.ends_after) < math.inf

    def is_over(self, now: float, wall: float) -> bool:
        """Whether the deadline has passed; `now` in nominal and `wall` in Unix seconds."""
        return wall >= self.ends_at or now >= self.ends_after

    def is_open(self, now: float, wall: float) -> bool:
        """Whether submissions may be sent."""
        if self.is_over(now, wall):
            return False
        return self.window is None or any(a <= wall < b for a, b in self.window.spans(wall, self.zone))

    def opens_at(self, wall: float) -> float:
        """When the window opens next, in Unix seconds; infinity without a window."""
        return min((a for a, _ in self._spans(wall) if a > wall), default=math.inf)

    def changes_at(self, wall: float) -> float:
        """The next time when the window opens or closes or the deadline passes, in Unix seconds."""
        moments = [moment for span in self._spans(wall) for moment in span]
        return min((one for one in (*moments, self.ends_at) if one > wall), default=math.inf)

    def shown(self, at: float) -> str:
        """A time in Unix seconds as the clocks of the zone show it."""
        return f"{datetime.fromtimestamp(at, self.zone):%Y-%m-%d %H:%M} {self.zone_name}"

    def _spans(self, wall: float) -> Iterator[tuple[float, float]]:
        return self.window.spans(wall, self.zone) if self.window else iter(())


def parse_deadline(text: str) -> Deadline:
    """Parse `8h`, `07:00` or `2026-03-29 07:00`, the latter with an offset if wanted.

    Raises:
        ValueError: it is none of these, or there is no such date.
    """
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text, re.ASCII):
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    return datetime.fromisoformat(text) if "-" in text else _time(text)


def ends_at(deadline: time | datetime, wall: float, zone: tzinfo) -> float:
    """When a deadline passes for a run that starts at `wall`; all in Unix seconds."""
    if isinstance(deadline, datetime):
        return deadline.timestamp() if deadline.tzinfo else _first(deadline, zone)
    today = datetime.fromtimestamp(wall, zone).date()
    moments = (_at(today + timedelta(days=day), deadline, zone) for day in _NEAR_DAYS)
    return next(moment for moment in moments if moment > wall)


def _time(text: str) -> time:
    hours, _, minutes = text.strip().partition(":")
    return time(int(hours), int(minutes))


def _at(day: date, clock: time, zone: tzinfo) -> float:
    return _first(datetime.combine(day, clock), zone)


def _first(wanted: datetime, zone: tzinfo) -> float:
    """The first moment, in Unix seconds, when clocks in the zone show `wanted` or later."""
    early, late = sorted(int(wanted.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (0, 1))
    if _shows(early, zone) == wanted:
        return early
    while late - early > 1:  # no clock shows it: the gap ends between these two
        middle = (early + late) // 2
        early, late = (middle, late) if _shows(middle, zone) < wanted else (early, middle)
    return late


def _shows(wall: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(wall, zone).replace(tzinfo=None, fold=0)
