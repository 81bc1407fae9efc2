"""Reports a run's progress: task counts, notices, the display, run.log and results.csv."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from itertools import count

from batchrunner.core.errors import StorageError
from batchrunner.core.model import TaskKey
from batchrunner.core.redaction import redacted
from batchrunner.core.states import TaskState
from batchrunner.core.summary import Tally
from batchrunner.engine.dispatch import Dispatch
from batchrunner.ledger import WAITING_FOR, Ledger, LedgerEvent, LedgerReader, money
from batchrunner.output.progress import Display
from batchrunner.output.results_file import Results
from batchrunner.output.run_log import RunLog

TICK = 0.5
"""Real seconds between updates of the display."""
MONEY_EVERY = 10
"""After so many ticks, the ledger is asked what all attempts cost."""


class Reporter:
    """Passes the ledger's events on to the display, run.log and results.csv."""

    def __init__(
        self,
        ledger: Ledger,
        reader: LedgerReader,
        log: RunLog,
        display: Display,
        results: Results,
        selected: frozenset[TaskKey] | None,
    ) -> None:
        """`reader` reads the same ledger; `selected` are the tasks of this run, None for all."""
        self._ledger, self._log, self._display, self._results = ledger, log, display, results
        self._reader, self._selected = reader, selected
        self.wanted = Tally({})
        """The selected tasks of the plan."""
        self.everything = Tally({})
        """All tasks of the ledger."""
        self.doubts = Counter[str]()
        """How many tasks are in doubt, by the name of their account."""

    async def begin(self) -> None:
        """Count the tasks, and start observing the ledger."""
        self.wanted = Tally(await self._ledger.counts(self._selected))
        self.everything = Tally(await self._ledger.counts(planned_only=False))
        self.doubts.update(one.account for one in await self._ledger.unowned() if one.is_doubt)
        self._ledger.observe(self._record)

    def show(self, dispatch: Dispatch) -> None:
        """Open the display."""
        self._display.start(self.wanted, dispatch)

    async def show_money(self) -> None:
        """Show what the attempts cost now, as the summary will: the figures on display may be seconds old."""
        self._display.tick(await money(self._reader))

    def close(self) -> None:
        """Close the display and restore the terminal."""
        self._display.close()

    def notice(self, text: str) -> None:
        """Show a message to the user, and write it to run.log."""
        self._log.notice(text)
        self._display.notice(redacted(text))

    async def waiting_for(self, why: str) -> None:
        """Set what `status` shows as the reason why nothing is submitted; empty to clear."""
        await self._ledger.set_meta(WAITING_FOR, why)

    async def keep_ticking(self, dispatch: Dispatch) -> None:
        """Update the display regularly, and record when and why nothing was submitted."""
        waiting_for = ""
        for ticks in count():
            await asyncio.sleep(TICK)
            if ticks % MONEY_EVERY == 0:
                spent = await money(self._reader)
            self._display.tick(spent)
            if dispatch.waiting_for != waiting_for:
                waiting_for = dispatch.waiting_for
                if waiting_for or not dispatch.stop:
                    self._log.notice(waiting_for or "submission resumed")
                await self.waiting_for(waiting_for)

    async def keep_results_fresh(self) -> None:
        """Rewrite results.csv from time to time if something changed."""
        await self._results.keep_fresh(self.everything.total())

    async def write_results(self) -> str:
        """Write results.csv; return the error message, empty on success."""
        try:
            await self._results.write()
        except StorageError as error:
            return f"{error}: {error.hint}"
        return ""

    async def try_to_write_results(self) -> None:
        """The same after a disk error that has already been reported."""
        with suppress(StorageError):
            await self._results.write()

    def _record(self, event: LedgerEvent) -> None:
        self.everything.moved(event.from_state, event.to_state)
        self.doubts[event.account] += (event.to_state is TaskState.IN_DOUBT) - (
            event.from_state is TaskState.IN_DOUBT
        )
        if event.planned and (self._selected is None or event.key in self._selected):
            self.wanted.moved(event.from_state, event.to_state)
        self._results.outdated()
        self._display.event(event)
