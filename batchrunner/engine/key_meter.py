"""Compares the key's used quota with its usage log, to detect charges without a row."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from batchrunner.core.doubts.adoption import UsageRow
from batchrunner.core.doubts.metering import Beyond, MeterReading, charged_beyond
from batchrunner.core.doubts.silence import Witness
from batchrunner.core.outcome import QueryFailed
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger
from batchrunner.ledger.history import submitting

FIRST_READINGS = "first_readings"
"""By process, the used quota before its first submission; null if it could not be read (JSON)."""
CHARGED_BEYOND = "charged_beyond"
"""By process, the quota units last known to be charged beyond the log (JSON)."""
NO_METER = False
"""Stored as the first reading if the gateway doesn't report the used quota."""


class KeyMeter:
    """Reads the used quota before the first submission of this process, and with each look-up in the log.

    One process has one key for each account. If the gateway doesn't report the used quota, nothing is
    detected.
    """

    def __init__(self, ledger: Ledger, gateway: Gateway, account: str = "") -> None:
        self._ledger, self._gateway, self._account = ledger, gateway, account
        self._suffix = f"/{account}" if account else ""
        self._before: MeterReading | QueryFailed | None = None
        self._on_their_way = 0

    async def start(self) -> MeterReading | None:
        """Read it before anything is submitted, and store it for later look-ups."""
        first = await self._gateway.meter_reading()
        unowned = await self._ledger.unowned()
        doubted = {one.process for one in unowned if one.is_doubt and one.account == self._account}
        kept = {name: value for name, value in (await self._kept(FIRST_READINGS)).items() if name in doubted}
        if first is None:
            kept[self._ledger.process] = NO_METER
        else:
            kept[self._ledger.process] = asdict(first) if isinstance(first, MeterReading) else None
        await self._keep(FIRST_READINGS, kept)
        return first if isinstance(first, MeterReading) else None

    async def read(self) -> None:
        """Read it again; call this before reading the usage log."""
        self._before = None
        # Without a first reading there is nothing to compare, and the look-ups are few.
        if any((await self._kept(FIRST_READINGS)).values()):
            self._before = await self._gateway.meter_reading()
            self._on_their_way = await self._ledger.ask_history(partial(submitting, account=self._account))

    async def beyond(self, rows: Sequence[UsageRow], witnesses: Collection[Witness]) -> Mapping[str, Beyond]:
        """What was charged beyond the log, by the process whose submissions it may be for."""
        first, told = await self._kept(FIRST_READINGS), await self._kept(CHARGED_BEYOND)
        before, after = self._before, None
        if isinstance(before, MeterReading):
            after = await self._gateway.meter_reading()
        shown = {row.request_id for row in rows if row.request_id}
        here = {self._ledger.process, *(one.process for one in witnesses if one.request_id in shown)}
        found = {
            process: Beyond() if reading is NO_METER else Beyond(told.get(process, 0), is_known=False)
            for process, reading in first.items()
        }
        if not isinstance(before, MeterReading) or not isinstance(after, MeterReading):
            return found
        for process, reading in first.items():
            if not reading or process not in here:  # this may be another key
                continue
            since = MeterReading(**reading)
            own = [one for one in witnesses if one.process == process]
            later = {name for one in own for name in (one.request_id, one.remote_id) if name}
            now = charged_beyond(since, before.used, after.used, rows, self._on_their_way, later)
            if now.is_known and (not self._on_their_way or now.certain > told.get(process, 0)):
                told[process] = now.certain
            found[process] = Beyond(max(now.certain, told.get(process, 0)), now.possible, now.is_known)
        await self._keep(CHARGED_BEYOND, {p: n for p, n in told.items() if p in first})
        return found

    async def _kept(self, name: str) -> dict[str, Any]:
        with suppress(ValueError):
            return dict(json.loads(await self._ledger.meta(name + self._suffix) or "{}"))
        return {}

    async def _keep(self, name: str, value: Mapping[str, Any]) -> None:
        await self._ledger.set_meta(name + self._suffix, json.dumps(value))
