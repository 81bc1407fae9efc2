"""Records what was seen of gateway tasks missing from the ledger, for later runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict

from batchrunner.clock import Pace
from batchrunner.core.doubts.adoption import Sighting
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import NotVisible
from batchrunner.core.text import count
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger
from batchrunner.ledger.history import STRANGERS

WORTH_SAYING = 20
"""Tasks to be looked at of which a person is told."""
MOST_KEPT = 5000
"""Of the newest; each takes about 150 bytes."""


class UnknownTasks:
    """Looked at once each: whose they are may show only when a task is wanted again, or comes back."""

    def __init__(self, ledger: Ledger, gateway: Gateway, pace: Pace, notice: Callable[[str], None]) -> None:
        self._ledger, self._gateway, self._pace, self._notice = ledger, gateway, pace, notice
        self.seen: dict[RemoteId, Sighting] = {}
        """All that the gateway showed; what has ended doesn't change any more."""
        self.unseen: set[RemoteId] = set()
        """Those that show no seed yet, or could not be looked at."""

    async def remember(self) -> None:
        """Bring back what earlier runs saw."""
        with suppress(ValueError, TypeError):
            for values in json.loads(await self._ledger.meta(STRANGERS) or "[]"):
                sight = Sighting(**values)
                self.seen.setdefault(sight.remote_id, sight)

    async def keep(self, ours: frozenset[RemoteId]) -> None:
        """Keep what was seen in full and is not ours."""
        kept = [asdict(one) for one in self.settled() if one.remote_id not in ours]
        await self._ledger.set_meta(STRANGERS, json.dumps(kept[-MOST_KEPT:]))

    async def look_at(self, remote_ids: Iterable[RemoteId]) -> None:
        """Poll those that were not seen in full, at a bearable pace; it is free."""
        todo = [one for one in remote_ids if one not in self.seen or one in self.unseen]
        if len(todo) >= WORTH_SAYING:
            self._notice(f"checking {count(len(todo), 'task')} of this key missing from the ledger (free)")
        for remote_id in todo:
            await self._pace.turn()
            seen = await self._gateway.sight(remote_id)
            self.unseen.discard(remote_id)
            if isinstance(seen, Sighting):
                self.seen[remote_id] = seen
                if seen.seed is None and seen.succeeded is None:
                    self.unseen.add(remote_id)
            elif not isinstance(seen, NotVisible):
                self.unseen.add(remote_id)

    def settled(self) -> list[Sighting]:
        """Those that were seen in full."""
        return [one for remote_id, one in self.seen.items() if remote_id not in self.unseen]
