"""Shows a run's progress on stderr: ledger events as lines, or a live display on a terminal."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from batchrunner.clock import Clock
from batchrunner.core.states import Event, TaskState
from batchrunner.core.summary import Tally
from batchrunner.core.text import printable, shortened, span
from batchrunner.ledger import LedgerEvent

if TYPE_CHECKING:
    from rich.console import RenderableType

TOLD = frozenset(
    {Event.COLLECTED, Event.REJECTED, Event.UNKNOWN, Event.GENERATION_FAILED, Event.LOST}
    | {Event.UNCOLLECTABLE, Event.UNSENDABLE}
)
"""Events that are shown; the others only change the counts."""

WANT_A_PERSON = frozenset({TaskState.IN_DOUBT, TaskState.FAILED, TaskState.UNCOLLECTED})
STATUS_INTERVAL = 30.0
"""Nominal seconds between two status lines when stderr is not a terminal."""


class SubmissionStatus(Protocol):
    """What a display needs to know about admission."""

    waiting_for: str

    @property
    def slots(self) -> int: ...


class Display(Protocol):
    """Shows a run's progress; a run doesn't depend on it."""

    def start(self, tally: Tally, situation: SubmissionStatus, clock: Clock) -> None:
        """The run is about to start."""

    def event(self, event: LedgerEvent) -> None:
        """Something happened to a task."""

    def notice(self, text: str) -> None:
        """Something else worth showing now."""

    def tick(self) -> None:
        """Time has passed."""

    def close(self) -> None:
        """The run has ended; restore the terminal."""


class Silent:
    """Shows nothing."""

    def start(self, tally: Tally, situation: SubmissionStatus, clock: Clock) -> None: ...
    def event(self, event: LedgerEvent) -> None: ...
    def notice(self, text: str) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


class Lines:
    """Prints a line per finished attempt, and a status line every 30 seconds."""

    def __init__(self) -> None:
        self._tally: Tally | None = None
        self._situation: SubmissionStatus | None = None
        self._clock = Clock()
        self._next_status = 0.0
        self._shown = ""

    def start(self, tally: Tally, situation: SubmissionStatus, clock: Clock) -> None:
        self._tally, self._situation, self._clock = tally, situation, clock
        self._next_status = clock.now() + STATUS_INTERVAL

    def event(self, event: LedgerEvent) -> None:
        if event.event in TOLD:
            self.notice(event_line(event))

    def notice(self, text: str) -> None:
        with suppress(OSError, ValueError):  # stderr's reader may be gone; the run continues
            print(f"{time.strftime('%H:%M:%S')}  {printable(text)}", file=sys.stderr, flush=True)  # noqa: T201

    def tick(self) -> None:
        if self._tally and self._situation and self._clock.now() >= self._next_status:
            self._next_status = self._clock.now() + STATUS_INTERVAL
            waiting_for = shortened(self._situation.waiting_for, 80)
            shown = " · ".join(filter(None, (counts_line(self._tally), waiting_for)))
            if shown != self._shown:
                self._shown = shown
                self.notice(shown)

    def close(self) -> None: ...


class Live:
    """A progress bar with counts at the bottom of a terminal; events scroll above it."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415  slow to load, and only needed on a terminal

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._started = 0.0

    def start(self, tally: Tally, situation: SubmissionStatus, clock: Clock) -> None:
        from rich.live import Live as RichLive  # noqa: PLC0415

        self._tally, self._situation, self._clock = tally, situation, clock
        self._started, self._done_before = clock.now(), tally[TaskState.DONE]
        self._live = RichLive(get_renderable=self._picture, console=self._console, refresh_per_second=4)
        self._live.start()

    def event(self, event: LedgerEvent) -> None:
        if event.event in TOLD:
            self.notice(event_line(event))

    def notice(self, text: str) -> None:
        with suppress(OSError, ValueError):
            self._console.print(f"{time.strftime('%H:%M:%S')}  {printable(text)}", soft_wrap=True)

    def tick(self) -> None: ...

    def close(self) -> None:
        if self._started:
            self._live.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group  # noqa: PLC0415
        from rich.progress_bar import ProgressBar  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        total, done = self._tally.total(), self._tally[TaskState.DONE]
        ended = done + self._tally[TaskState.FAILED] + self._tally[TaskState.UNCOLLECTED]
        line = f"{counts_line(self._tally)}{self._time_left(total - ended, done)}"
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=total or 1, completed=ended, width=max(8, self._console.width // 6))
        grid.add_row(bar, Text(line))
        if not self._situation.waiting_for:
            return grid
        return Group(grid, Text(shortened(self._situation.waiting_for, self._console.width - 1)))

    def _time_left(self, left: int, done: int) -> str:
        finished, elapsed = done - self._done_before, self._clock.now() - self._started
        if finished < 3 or not left:
            return ""
        return f" · about {span(self._clock.real(elapsed) * left / finished)} left"


def display_for_stderr() -> Display:
    """A live display on a terminal, lines otherwise."""
    return Live() if sys.stderr.isatty() else Lines()


def event_line(event: LedgerEvent) -> str:
    """One event in one line."""
    words = {TaskState.IN_DOUBT: "in doubt", TaskState.PENDING: "again"}
    state = words.get(event.to_state, event.to_state.value)
    if event.event is Event.UNCOLLECTABLE and event.to_state is TaskState.DONE:
        state = "missing"  # the download was repeated and failed; the video was collected before
    why = " ".join(filter(None, (event.code, event.message)))
    return f"{state:<11} {event.id}" + (f"  {shortened(why, 120)}" if why else "")


def counts_line(tally: Tally) -> str:
    """The counts in one line; what needs attention comes first, as a narrow terminal cuts off the end."""
    parts = [f"done {tally[TaskState.DONE]:,} of {tally.total():,}"]
    for state in sorted(TaskState, key=lambda state: state not in WANT_A_PERSON):
        if state is not TaskState.DONE and tally[state]:
            parts.append(f"{state.replace('_', ' ')} {tally[state]:,}")
    return " · ".join(parts)
