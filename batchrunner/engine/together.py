"""What the runs of one command have in common."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from batchrunner.clock import Clock, Pace
from batchrunner.core.errors import StorageError
from batchrunner.core.model import RemoteId
from batchrunner.engine.shared_account import SharedAccount
from batchrunner.engine.shared_budget import SharedBudget
from batchrunner.ledger import Ledger


class Stoppable(Protocol):
    """A run, or several, that a signal ends."""

    signal: int

    def by_signal(self, number: int) -> None: ...


class StopAll:
    """Passes a signal on to all runs, including those that have yet to begin."""

    def __init__(self) -> None:
        self.signal = 0
        self._runs: list[Stoppable] = []

    def add(self, run: Stoppable) -> None:
        """A run begins."""
        self._runs.append(run)
        if self.signal:
            run.by_signal(self.signal)

    def by_signal(self, number: int) -> None:
        """Request a stop of all runs; the first signal is kept."""
        self.signal = self.signal or number
        for run in self._runs:
            run.by_signal(number)


class Siblings:
    """The ledgers of all runs: a task that one of them has submitted is not what another one is missing."""

    def __init__(self) -> None:
        self._open: set[Ledger] = set()
        self._of_ended: frozenset[RemoteId] = frozenset()

    def add(self, ledger: Ledger) -> None:
        """A run begins."""
        self._open.add(ledger)

    async def leave(self, ledger: Ledger) -> None:
        """A run ends: its ledger is about to be closed."""
        self._open.discard(ledger)
        with suppress(StorageError, sqlite3.Error):
            self._of_ended |= await ledger.remote_ids()

    async def remote_ids(self, but: Ledger) -> frozenset[RemoteId]:
        """The remote IDs of all runs but this one."""
        found = self._of_ended
        for ledger in self._open - {but}:
            found |= await ledger.remote_ids()
        return found


@dataclass(frozen=True, slots=True)
class Together:
    """What the runs of one command share."""

    clock: Clock
    """Decisions about the account compare times that different runs have noted."""
    pace: Pace
    """Of all queries about tasks, if the command has only one account; with several, each run has its own."""
    budget: SharedBudget | None = None
    """The limit of `--max-cost`, if it was given."""
    accounts: defaultdict[str, SharedAccount] = field(default_factory=lambda: defaultdict(SharedAccount))
    """By name."""
    stops: StopAll = field(default_factory=StopAll)
    siblings: Siblings = field(default_factory=Siblings)
