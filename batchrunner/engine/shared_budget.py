"""One limit for all runs of a command: no two of them claim at once, and each counts what the others have."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from batchrunner.core.budget import Limit
from batchrunner.core.errors import StorageError
from batchrunner.ledger import Ledger
from batchrunner.ledger.spending import committed


class SharedBudget:
    """What the runs of a command have spent or reserved, by ledger.

    A run that has ended still counts. Where a ledger can't be read any more, its last figure counts: it was
    read after its last claim, and only ends of tasks make it smaller.
    """

    def __init__(self, limit: Limit) -> None:
        self._limit, self._turn = limit, asyncio.Lock()
        self._used: dict[Ledger, int] = {}
        self._ended: set[Ledger] = set()

    @asynccontextmanager
    async def room(self, ledger: Ledger) -> AsyncIterator[Limit]:
        """The limit for one claim in this ledger; until it is made, no other run claims."""
        async with self._turn:
            self._used.setdefault(ledger, 0)
            for other in self._used:
                if other is not ledger:
                    await self._read(other)
            elsewhere = sum(used for other, used in self._used.items() if other is not ledger)
            try:
                yield replace(self._limit, elsewhere=elsewhere)
            finally:
                await self._read(ledger)

    async def leave(self, ledger: Ledger) -> None:
        """The run ends: its ledger is about to be closed."""
        if ledger in self._used:
            await self._read(ledger)
            self._ended.add(ledger)

    async def _read(self, ledger: Ledger) -> None:
        if ledger not in self._ended:
            with suppress(StorageError, sqlite3.Error):
                sums = await ledger.ask_history(partial(committed, process=ledger.process))
                self._used[ledger] = sums[self._limit.per].of(self._limit.figure)


class RunBudget:
    """The limits of one run, and the one that it shares with others, if any."""

    def __init__(
        self, ledger: Ledger, limits: Sequence[Limit] = (), shared: SharedBudget | None = None
    ) -> None:
        self._ledger, self._limits, self._shared = ledger, tuple(limits), shared

    @asynccontextmanager
    async def room(self) -> AsyncIterator[tuple[Limit, ...]]:
        """The limits for one claim, which is to be made before this ends."""
        if self._shared is None:
            yield self._limits
            return
        async with self._shared.room(self._ledger) as limit:
            yield (limit, *self._limits)

    async def leave(self) -> None:
        """The run ends."""
        if self._shared:
            await self._shared.leave(self._ledger)
