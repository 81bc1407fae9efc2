"""How far a run has come, how fast it is, and when it may end: in words, for displays and for `status`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from batchrunner.core.budget import MICROS
from batchrunner.core.states import GENERATED, TaskState
from batchrunner.core.summary import UNFINISHED
from batchrunner.core.text import columns, count, span

WINDOW = 600.0
"""Seconds: what was collected in these last ones makes the rate."""
FEWEST = 3
"""Fewer collected videos say nothing about the rate."""
_BUCKET = 5.0
ATTENTION = (TaskState.IN_DOUBT, TaskState.FAILED, TaskState.UNCOLLECTED)
"""States that need a person, the most urgent first."""


class CollectionRate:
    """Counts what was collected in the last minutes; all times in real seconds."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._counts: deque[tuple[float, int]] = deque()
        """When each few seconds began, and how many were collected in them."""

    def collected(self, at: float) -> None:
        """One more video is collected; times come in order."""
        while self._counts and self._counts[0][0] < at - WINDOW:
            self._counts.popleft()
        bucket = at - at % _BUCKET
        if self._counts and self._counts[-1][0] == bucket:
            self._counts[-1] = (bucket, self._counts[-1][1] + 1)
        else:
            self._counts.append((bucket, 1))

    def rate(self, now: float) -> float | None:
        """Videos a second; None if it is not known yet."""
        # Of a copy, made at once: a display may ask in a thread of its own.
        number = sum(number for began, number in tuple(self._counts) if began >= now - WINDOW)
        seconds = min(WINDOW, now - self._began)
        return number / seconds if number >= FEWEST and seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Money:
    """What the attempts in a run directory cost, in millionths of the currency."""

    spent: int = 0
    reserved: int = 0
    """The most that tasks in flight or in doubt can be charged."""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a run."""

    counts: Mapping[TaskState, int]
    rate: float | None = None
    """Videos a second in the last minutes; None if unknown."""
    slots: int = 0
    most_slots: int | None = None
    """How many may be in flight; None if unknown."""
    money: Money = Money()
    waiting_for: str = ""
    """Why nothing is submitted; empty if that is not so."""

    @property
    def total(self) -> int:
        """The number of all tasks."""
        return sum(self.counts.values())

    @property
    def generated(self) -> int:
        """How many videos the gateway has made."""
        return sum(self.counts.get(state, 0) for state in GENERATED)

    @property
    def collected(self) -> int:
        """How many videos are downloaded."""
        return self.counts.get(TaskState.DONE, 0)

    @property
    def seconds_left(self) -> float | None:
        """Real seconds until all tasks have ended; None if unknown, as while nothing is submitted."""
        left = sum(self.counts.get(state, 0) for state in UNFINISHED)
        held_back = bool(self.waiting_for and self.counts.get(TaskState.PENDING))
        return None if self.rate is None or not left or held_back else left / self.rate


def attention(progress: Progress) -> str:
    """How many tasks need a person; empty if none does."""
    parts = (
        f"{number:,} {state.replace('_', ' ')}"
        for state in ATTENTION
        if (number := progress.counts.get(state))
    )
    return " · ".join(parts)


def pace_in_words(progress: Progress, now: float) -> list[str]:
    """When it may end, how fast it is, and what it has cost, each a part of a line; `now` in Unix seconds."""
    parts = []
    if (left := progress.seconds_left) is not None:
        parts.append(f"finish about {_moment(now, now + left)} ({span(left)} left)")
    if progress.rate is not None:
        parts.append(rate_in_words(progress.rate))
    if progress.slots or progress.most_slots:
        of = "" if progress.most_slots is None else f" of {progress.most_slots:,}"
        parts.append(f"{progress.slots:,}{of} {'slots' if of else 'in flight'}")
    return parts + money_in_words(progress.money)


def rate_in_words(rate: float) -> str:
    """Videos a minute, or an hour if there are few."""
    a_minute = rate * 60
    return f"{a_minute:,.1f} a minute" if a_minute >= 1 else f"{a_minute * 60:,.1f} an hour"


def money_in_words(money: Money) -> list[str]:
    """What is spent and reserved, as one part of a line; nothing without a price."""
    if not money.currency or not (money.spent or money.reserved):
        return []
    spent = f"{money.spent / MICROS:,.2f} {money.currency} spent"
    return [f"{spent}, {money.reserved / MICROS:,.2f} reserved" if money.reserved else spent]


def wrapped(parts: Iterable[str], width: int) -> list[str]:
    """The parts joined by dots, in as few lines of this width as possible; no part is broken."""
    lines: list[str] = []
    for part in parts:
        joined = f"{lines[-1]} · {part}" if lines else part
        if lines and columns(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(part)
    return lines


def one_line(progress: Progress, now: float, newest: str = "") -> str:
    """All of it in one line, for a log; `newest` names the newest failure."""
    failures = attention(progress)
    if failures and newest:
        failures += f" (newest: {newest})"
    parts = [f"{progress.collected:,} of {count(progress.total, 'task')} done", failures]
    return " · ".join(filter(None, (*parts, *pace_in_words(progress, now), progress.waiting_for)))


def _moment(now: float, then: float) -> str:
    """A time of day, with the date if it is not today's."""
    today, day = datetime.fromtimestamp(now), datetime.fromtimestamp(then)
    return day.strftime("%H:%M" if today.date() == day.date() else "%Y-%m-%d %H:%M")
