"""What is known of the run that works in a run directory: for `status`."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from batchrunner.core.budget import MICROS
from batchrunner.core.progress import CollectionRate, Progress, pace_in_words, wrapped
from batchrunner.core.redaction import redacted
from batchrunner.core.states import TaskState
from batchrunner.core.text import iso, moment, printable, span
from batchrunner.ledger import (
    WAITING_FOR,
    LastEvent,
    LedgerReader,
    begun_at,
    collected_since,
    last_event,
    money,
)


@dataclass(frozen=True, slots=True)
class RunNow:
    """What is known of the run that is going on, if one is."""

    progress: Progress
    began: float | None
    """Unix seconds."""
    last: LastEvent | None
    going_on: bool
    at: float
    """Unix seconds."""

    @classmethod
    async def of(cls, ledger: LedgerReader, counts: Mapping[TaskState, int], going_on: bool) -> RunNow:
        """Ask the ledger."""
        at, began, last = time.time(), await begun_at(ledger), await last_event(ledger)
        if not going_on:
            return cls(Progress(counts), began, last, going_on, at)
        pace = CollectionRate(began or at)
        for collected in await collected_since(ledger, at):
            if began is None or collected >= began:
                pace.collected(collected)
        progress = Progress(
            counts=counts,
            rate=pace.rate(at),
            slots=sum(counts[state] for state in (TaskState.SUBMITTING, TaskState.GENERATING)),
            money=await money(ledger),
            waiting_for=redacted(await ledger.meta(WAITING_FOR)),
        )
        return cls(progress, began, last, going_on, at)

    def lines(self, gateway: str) -> Iterator[str]:
        """In words."""
        since = ""
        if self.going_on and self.began is not None:
            since = f" since {moment(self.began)} ({span(max(0.0, self.at - self.began))})"
        yield f"  {'running' if self.going_on else 'not running'}{since}; gateway {printable(gateway)}"
        if self.going_on:
            width = shutil.get_terminal_size().columns - 2
            yield from (f"  {line}" for line in wrapped(pace_in_words(self.progress, self.at), width))
        if self.last:
            what = f"{self.last.event.replace('_', ' ')}  {printable(self.last.id)}"
            yield f"  last event {moment(self.last.at)}  {what}"
        if self.progress.waiting_for:
            yield f"  not submitting: {printable(self.progress.waiting_for)}"

    def as_values(self, exit_code: int) -> dict[str, object]:
        """As JSON values; while a run is going on, the exit code is 0."""
        progress, left = self.progress, self.progress.seconds_left
        return {
            "exit_code": 0 if self.going_on else exit_code,
            "running": self.going_on,
            "waiting_for": progress.waiting_for,
            "began": iso(self.began),
            "last_event": None if self.last is None else self.last._asdict() | {"at": iso(self.last.at)},
            "in_flight": progress.slots,
            "videos_per_minute": None if progress.rate is None else round(progress.rate * 60, 2),
            "finish": iso(None if left is None else self.at + left),
            "reserved_cost": progress.money.reserved / MICROS,
        }
