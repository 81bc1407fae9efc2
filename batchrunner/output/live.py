"""The display on a terminal: bars and figures at the bottom, failures and notices above them."""

from __future__ import annotations

import time
from contextlib import suppress

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from batchrunner.core.progress import Money, attention, pace_in_words, wrapped
from batchrunner.core.states import TaskState
from batchrunner.core.summary import Tally
from batchrunner.core.text import cut, printable
from batchrunner.ledger import LedgerEvent
from batchrunner.output.progress import TOLD, Moment, SubmissionStatus, event_line

_COLOURS = {
    TaskState.FAILED: "red",
    TaskState.IN_DOUBT: "bold yellow",
    TaskState.UNCOLLECTED: "red",
    TaskState.PENDING: "yellow",
    TaskState.DONE: "yellow",
}
"""Of the lines for events, by the state that follows."""
_WAITING_LINES = 2
"""At most so many lines say why nothing is submitted."""
_A_SECOND = 2
"""How often the picture is drawn."""


class Live:
    """Two bars and the figures; each failure scrolls above them in colour."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._moment: Moment | None = None

    def start(self, tally: Tally, situation: SubmissionStatus) -> None:
        self._moment = Moment(tally, situation)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[told]}", justify="right"),
            console=self._console,
            expand=True,
        )
        self._generated = self._bars.add_task("generated", told="")
        self._collected = self._bars.add_task("collected", told="")
        self._live = RichLive(
            get_renderable=self._picture, console=self._console, refresh_per_second=_A_SECOND
        )
        self._live.start()

    def event(self, event: LedgerEvent) -> None:
        if self._moment:
            self._moment.event(event)
        if event.event in TOLD:
            self._above(event_line(event), _COLOURS.get(event.to_state, ""))

    def notice(self, text: str) -> None:
        self._above(text, "yellow" if text.startswith("warning") else "")

    def tick(self, money: Money) -> None:
        if self._moment:
            self._moment.money = money

    def close(self) -> None:
        if self._moment:
            self._live.stop()

    def _above(self, text: str, style: str) -> None:
        line = Text.assemble((f"{time.strftime('%H:%M:%S')}  ", "dim"), (printable(text), style))
        with suppress(OSError, ValueError):  # the terminal may be gone; the run continues
            self._console.print(line, soft_wrap=True)

    def _picture(self) -> RenderableType:
        assert self._moment  # noqa: S101  it is drawn only after the start
        now, width = self._moment.now(), max(20, self._console.width - 1)
        told = f"of {now.total:,}"
        for bar, number in ((self._generated, now.generated), (self._collected, now.collected)):
            self._bars.update(bar, total=now.total or 1, completed=number, told=f"{number:,} {told}")
        lines = [Text(line) for line in wrapped(pace_in_words(now, time.time()), width)]
        if failures := attention(now):
            lines.insert(0, Text(failures, style="red"))
        if now.waiting_for:
            why = cut(f"not submitting: {now.waiting_for}", _WAITING_LINES * width)
            lines.append(Text(why, style="yellow", overflow="fold"))
        return Group(self._bars.get_renderable(), *lines)
