"""Records sightings of gateway tasks missing from the ledger, for later runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from batchrunner.core.doubts.adoption import Sighting, UsageRow
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import NotVisible
from batchrunner.core.text import count
from batchrunner.engine.accounts import UsageLogs
from batchrunner.ledger import Ledger
from batchrunner.ledger.history import STRANGERS

WORTH_SAYING = 20
"""Minimum number of tasks to query for which the user gets a message."""
MOST_KEPT = 5000
"""How many of the newest to keep; each takes about 150 bytes."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a look-up could not settle."""

    submissions: Sequence[UsageRow]
    """Those whose owner is not known yet."""
    unseen: Sequence[RemoteId]
    """Other tasks that show no seed yet, or could not be queried."""
    since: float
    """When the oldest unsettled one was submitted (Unix seconds); infinity if there is none."""

    def __bool__(self) -> bool:
        return bool(self.submissions or self.unseen)

    def __str__(self) -> str:
        submitted = f"{count(len(self.submissions), 'submission')} of this key without a result yet"
        unseen = f"{count(len(self.unseen), 'task')} of this key that can't be looked at yet"
        return " and ".join([submitted] * bool(self.submissions) + [unseen] * bool(self.unseen))


class UnknownTasks:
    """Queries each once: its owner may become known only when a task is requested again or comes back."""

    def __init__(self, ledger: Ledger, logs: UsageLogs, notice: Callable[[str], None]) -> None:
        self._ledger, self._logs, self._notice = ledger, logs, notice
        self.seen: dict[RemoteId, Sighting] = {}
        """All that the gateway showed; tasks that have ended no longer change."""
        self.unseen: set[RemoteId] = set()
        """Those that show no seed yet, or could not be queried."""

    async def remember(self) -> None:
        """Load what earlier runs saw."""
        with suppress(ValueError, TypeError):
            for values in json.loads(await self._ledger.meta(STRANGERS) or "[]"):
                sight = Sighting(**values)
                self.seen.setdefault(sight.remote_id, sight)

    async def keep(self, ours: frozenset[RemoteId]) -> None:
        """Store what was seen in full and is not ours."""
        kept = [asdict(one) for one in self.settled() if one.remote_id not in ours]
        await self._ledger.set_meta(STRANGERS, json.dumps(kept[-MOST_KEPT:]))

    async def look_at(self, remote_ids: Iterable[RemoteId]) -> None:
        """Query those not yet seen in full, at a limited rate; this is free."""
        todo = [one for one in remote_ids if one not in self.seen or one in self.unseen]
        if len(todo) >= WORTH_SAYING:
            self._notice(f"checking {count(len(todo), 'task')} of this key missing from the ledger (free)")
        for remote_id in todo:
            seen = await self._logs.sight(remote_id)
            self.unseen.discard(remote_id)
            if isinstance(seen, Sighting):
                self.seen[remote_id] = seen
                if seen.seed is None and seen.succeeded is None:
                    self.unseen.add(remote_id)
            elif not isinstance(seen, NotVisible):
                self.unseen.add(remote_id)

    def settled(self) -> list[Sighting]:
        """The tasks that were seen in full."""
        return [one for remote_id, one in self.seen.items() if remote_id not in self.unseen]
