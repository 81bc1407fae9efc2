"""Shows a run's progress on stderr: bars on a terminal, or else a line a minute."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import Protocol

from batchrunner.core.progress import ATTENTION, CollectionRate, Money, Progress, one_line
from batchrunner.core.states import Event, TaskState
from batchrunner.core.summary import Tally
from batchrunner.core.text import printable, shortened
from batchrunner.ledger import LedgerEvent

TOLD = frozenset(
    {Event.REJECTED, Event.UNKNOWN, Event.GENERATION_FAILED, Event.LOST}
    | {Event.UNCOLLECTABLE, Event.UNSENDABLE}
)
"""Events that are shown; the others only change the figures."""
INTERVAL, UNCHANGED_INTERVAL = 60.0, 600.0
"""Real seconds between two status lines when stderr is not a terminal, and if nothing has changed."""


class SubmissionStatus(Protocol):
    """What a display needs to know about admission."""

    @property
    def waiting_for(self) -> str: ...

    @property
    def slots(self) -> int: ...

    @property
    def most_slots(self) -> int: ...


class Display(Protocol):
    """Shows a run's progress; a run doesn't depend on it."""

    def start(self, tally: Tally, situation: SubmissionStatus) -> None:
        """The run is about to start."""

    def event(self, event: LedgerEvent) -> None:
        """Something happened to a task."""

    def notice(self, text: str) -> None:
        """Something else worth showing now."""

    def tick(self, money: Money) -> None:
        """Time has passed; `money` is the newest figure."""

    def close(self) -> None:
        """The run has ended; restore the terminal."""


class Silent:
    """Shows nothing."""

    def start(self, tally: Tally, situation: SubmissionStatus) -> None: ...
    def event(self, event: LedgerEvent) -> None: ...
    def notice(self, text: str) -> None: ...
    def tick(self, money: Money) -> None: ...
    def close(self) -> None: ...


class Moment:
    """What the displays show, kept up to date from events."""

    def __init__(self, tally: Tally, situation: SubmissionStatus) -> None:
        self._tally, self._situation = tally, situation
        self._pace = CollectionRate(time.monotonic())
        self.money = Money()

    def event(self, event: LedgerEvent) -> None:
        """Count a video that was collected."""
        if event.event is Event.COLLECTED:
            self._pace.collected(time.monotonic())

    def now(self) -> Progress:
        """The figures of this moment."""
        return Progress(
            counts=self._tally.counts(),
            rate=self._pace.rate(time.monotonic()),
            slots=self._situation.slots,
            most_slots=self._situation.most_slots,
            money=self.money,
            waiting_for=printable(self._situation.waiting_for),
        )


class Lines:
    """Prints a status line a minute, which names the newest failure, and notices as they come."""

    def __init__(self, name: str = "") -> None:
        """`name` begins every line: that of the run, if there are several."""
        self._name = f"{printable(name)}: " if name else ""
        self._moment: Moment | None = None
        self._newest, self._shown = "", ""
        self._next_at = self._repeat_at = 0.0

    def start(self, tally: Tally, situation: SubmissionStatus) -> None:
        self._moment = Moment(tally, situation)
        self._next_at = time.monotonic() + INTERVAL

    def event(self, event: LedgerEvent) -> None:
        if self._moment:
            self._moment.event(event)
        if event.event in TOLD and event.to_state in ATTENTION:
            self._newest = event_line(event)

    def notice(self, text: str) -> None:
        with suppress(OSError, ValueError):  # stderr's reader may be gone; the run continues
            print(f"{time.strftime('%H:%M:%S')}  {self._name}{printable(text)}", file=sys.stderr, flush=True)  # noqa: T201

    def tick(self, money: Money) -> None:
        if self._moment is None or time.monotonic() < self._next_at:
            return
        self._next_at = time.monotonic() + INTERVAL
        self._moment.money = money
        line = one_line(self._moment.now(), time.time(), self._newest)
        if line != self._shown or time.monotonic() >= self._repeat_at:
            self._shown, self._repeat_at = line, time.monotonic() + UNCHANGED_INTERVAL
            self.notice(line)

    def close(self) -> None: ...


def display_for_stderr() -> Display:
    """Bars on a terminal that can move its cursor, lines otherwise."""
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("", "dumb"):
        from batchrunner.output.live import Live  # noqa: PLC0415  slow to load, and only needed on a terminal

        return Live()
    return Lines()


def event_line(event: LedgerEvent) -> str:
    """One event in one line."""
    words = {TaskState.IN_DOUBT: "in doubt", TaskState.PENDING: "again"}
    state = words.get(event.to_state, event.to_state.value)
    if event.event is Event.UNCOLLECTABLE and event.to_state is TaskState.DONE:
        state = "missing"  # the download was repeated and failed; the video was collected before
    why = " ".join(filter(None, (event.code, event.message)))
    return f"{state:<11} {event.id}" + (f"  {shortened(why, 120)}" if why else "")
