"""The key's used quota, held against its usage log: what was charged without a row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from batchrunner.core.doubts.adoption import UsageRow
from batchrunner.core.doubts.metering import MeterReading, charged_beyond
from batchrunner.core.states import TaskState
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger

CHARGED_BEYOND = "charged_beyond"
"""Quota units that each process found charged beyond the log (JSON): a later one may have another key."""


class KeyMeter:
    """Reads the used quota before the first submission of this process, and with each look at the log."""

    def __init__(self, ledger: Ledger, gateway: Gateway) -> None:
        self._ledger, self._gateway = ledger, gateway
        self._first: MeterReading | None = None
        self._last: MeterReading | None = None
        self._on_their_way = 0

    async def start(self) -> None:
        """Read it before anything is submitted; where that can't be done, nothing will be told."""
        self._first = await self._gateway.meter_reading()

    async def read(self) -> None:
        """Read it once more; the usage log is to be asked for only afterwards."""
        if self._first:
            self._last = await self._gateway.meter_reading()
            self._on_their_way = (await self._ledger.counts(planned_only=False)).get(TaskState.SUBMITTING, 0)

    async def beyond(self, rows: Sequence[UsageRow]) -> Mapping[str, int]:
        """Quota units charged beyond the log, by the process whose submissions they may be."""
        found: dict[str, int] = {}
        with suppress(ValueError):
            found = json.loads(await self._ledger.meta(CHARGED_BEYOND) or "{}")
        if self._first and self._last:
            units = charged_beyond(self._first, self._last.used, rows, self._on_their_way)
            if units and (later := await self._gateway.meter_reading()):
                # What was given back just before the log was read was not in the reading before it.
                used = min(self._last.used, later.used)
                units = charged_beyond(self._first, used, rows, self._on_their_way)
            if units != found.get(self._ledger.process, 0):
                found[self._ledger.process] = units
                await self._ledger.set_meta(CHARGED_BEYOND, json.dumps(found))
        return found
