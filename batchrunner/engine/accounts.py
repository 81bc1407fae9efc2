"""The accounts of a run: each has its own key and usage log, and keeps the tasks submitted with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import Sighting, UsageRow, is_full
from batchrunner.core.model import AUTO, RemoteId
from batchrunner.core.outcome import NotVisible, QueryFailed, QueryRefused, UsageLog, UsageOutcome
from batchrunner.engine.queries import Queries
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings

RETRIES = (5.0, 30.0)
"""Nominal seconds before each retry if a usage log can't be read at the moment."""


@dataclass(frozen=True, slots=True)
class GivenAccount:
    """An account that a command may use."""

    name: str
    """What the ledger calls it; empty for the only one of a command, whose key has no name."""
    key: ApiKey
    concurrency: int | None = None
    """Generations in flight; None: as the manifest says."""
    price: float = 1.0
    """What it pays, in relation to the prices."""
    is_default: bool = False
    """Whether tasks that were submitted without a name belong to it."""

    def as_values(self) -> dict[str, object]:
        """What `plan` says about it, as JSON values, without its key."""
        concurrency = "auto" if self.concurrency == AUTO else self.concurrency
        return {"name": self.name, "concurrency": concurrency, "price_factor": self.price}


@asynccontextmanager
async def open_gateways(
    settings: GatewaySettings, accounts: Sequence[GivenAccount]
) -> AsyncIterator[dict[str, Gateway]]:
    """The gateway as each account uses it, by the account's name; open as long as the context.

    Raises:
        UsageError: the address is unusable, or would send the keys over plain http.
    """
    async with AsyncExitStack() as stack:
        yield {one.name: await stack.enter_async_context(Gateway.open(settings, one.key)) for one in accounts}


class UsageLogs:
    """The usage logs of all accounts of a run, read as one."""

    def __init__(self, gateways: Mapping[str, Gateway], queries: Mapping[str, Queries]) -> None:
        """Both by the name of the account; there is at least one."""
        self._gateways, self._queries = gateways, queries
        self._owners: dict[RemoteId, str] = {}
        self.rows: dict[str, Sequence[UsageRow]] = {}
        """What each log showed when it was last read, by account."""
        self.failures: dict[str, QueryFailed | QueryRefused] = {}
        """Why the others could not be read."""

    @property
    def accounts(self) -> frozenset[str]:
        """The names of the accounts."""
        return frozenset(self._gateways)

    async def read(self, clock: Clock, every: bool = False) -> UsageOutcome:
        """The rows of all logs that can be read, as far back as all of them go.

        It is a failure if none can be read; with `every`, if any can't.
        """
        read = [await self._read(name, clock) for name in self._gateways]
        for name, rows in self.rows.items():
            self._owners.update((row.remote_id, name) for row in rows if row.remote_id)
        logs = [log for log in read if isinstance(log, UsageLog)]
        if len(read) == 1 or not logs or (every and self.failures):
            return next(iter(self.failures.values())) if self.failures else read[0]
        rows = sorted((row for log in logs for row in log.rows), key=lambda row: -row.at)
        # A log that is full has lost older rows: what is older than its oldest one, not all logs show.
        since = max((min(row.at for row in log.rows) for log in logs if is_full(log.rows)), default=0.0)
        return replace(logs[0], rows=tuple(row for row in rows if row.at >= since))

    async def _read(self, name: str, clock: Clock) -> UsageOutcome:
        log = await self._gateways[name].usage_log()
        for wait in RETRIES:
            if not isinstance(log, QueryFailed) or (log.retry_after or 0.0) > wait:
                break
            await clock.sleep(wait)
            log = await self._gateways[name].usage_log()
        self.rows.pop(name, None)
        self.failures.pop(name, None)
        if isinstance(log, UsageLog):
            self.rows[name] = log.rows
        else:
            self.failures[name] = log
        return log

    async def sight(self, remote_id: RemoteId) -> Sighting | NotVisible | QueryFailed | QueryRefused:
        """Look at a task that may be ours, with the account whose log names it, or else with each."""
        names = [self._owners[remote_id]] if remote_id in self._owners else list(self._queries)
        answers = []
        for name in names:
            seen = await self._queries[name].sight(remote_id)
            if isinstance(seen, Sighting):
                self._owners[remote_id] = name
                return seen
            answers.append(seen)
        return next((one for one in answers if not isinstance(one, NotVisible)), answers[0])

    async def owner(self, remote_id: RemoteId) -> str:
        """The account of a task that was seen: the one that shows it."""
        if remote_id not in self._owners and len(self._queries) > 1:
            await self.sight(remote_id)
        return self._owners.get(remote_id, next(iter(self._queries)))
