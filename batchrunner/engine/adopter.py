"""Looks up submissions in doubt in the gateway's usage log and adopts those that it finds.

It only adopts. A charge may arrive long after its client has disconnected, so only the user declares a
submission lost: with `resolve --lost`, or in advance with `on_doubt: resubmit`. Findings are kept as advice.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import (
    Sighting,
    Unowned,
    UsageRow,
    adoptable,
    advice,
    candidates,
    unexplained,
)
from batchrunner.core.doubts.failures import failures, named
from batchrunner.core.doubts.metering import MeterReading
from batchrunner.core.doubts.silence import UNREAD, Witness, why_unproven
from batchrunner.core.model import AttemptId, RemoteId
from batchrunner.core.outcome import NotVisible, QueryFailed, QueryRefused
from batchrunner.core.policy import AttemptFacts, adopted
from batchrunner.core.states import TaskState
from batchrunner.core.text import count, printable
from batchrunner.engine.key_meter import KeyMeter
from batchrunner.engine.queries import Queries
from batchrunner.engine.together import Siblings
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger, LedgerEvent, RemoteIdTaken
from batchrunner.ledger.history import adopted_at, request_ids, witnesses

FIRST_LOOK = 300.0
"""Nominal seconds from a submission to its first look-up: its rows appear late."""
BETWEEN_LOOKS = 600.0
"""Nominal seconds between look-ups: the gateway allows 20 in 20 minutes per IP address."""
WORTH_WAITING = 1500.0
"""Nominal seconds that a run waits for a submission in doubt that may still be settled."""
LATEST = 3600.0
"""Maximum nominal seconds from a submission's intent to its arrival at the gateway."""


@dataclass(frozen=True, slots=True)
class LogLook:
    """The result of one look-up."""

    adopted: tuple[tuple[Unowned, RemoteId], ...] = ()
    advice: tuple[tuple[Unowned, str], ...] = ()
    """The doubts that it did not settle, and what the log shows about them."""
    hopeful: frozenset[AttemptId] = frozenset()
    """The unsettled doubts that a later look-up may settle."""
    silent: frozenset[AttemptId] = frozenset()
    """The unsettled doubts that a demonstrably working log does not show."""
    failure: str = ""
    """Why the log could not be read; empty if it could."""
    retry_after: float = 0.0
    """Seconds that the gateway asked to wait before the next look-up."""


class Adopter:
    """Looks up doubts: 5 min after the newest, then every 10 min while one is open; one look-up for all."""

    def __init__(
        self,
        ledger: Ledger,
        gateway: Gateway,
        clock: Clock,
        queries: Queries | None = None,
        siblings: Siblings | None = None,
        account: str = "",
    ) -> None:
        """`account` is the name of the gateway's account: doubts of others are not in its log."""
        self._ledger, self._gateway, self._clock = ledger, gateway, clock
        self._queries, self._siblings = queries or Queries(gateway, clock), siblings
        self._account, self._meter = account, KeyMeter(ledger, gateway, account)
        self._sighted: dict[RemoteId, Sighting] = {}
        """Complete sightings of gateway tasks that are not ours; they no longer change."""
        self._hopeful: dict[AttemptId, bool] = {}
        """The doubts looked up after `FIRST_LOOK`, and whether a later look-up may settle them."""
        self._noticed: dict[AttemptId, float] = {}
        """When each doubt was first seen, in nominal seconds: the wall clock may have been set back."""
        self._next_look = 0.0
        self._news = asyncio.Event()
        self.awaited = True
        """Whether the run should wait for another look-up before it ends."""

    def observe(self, event: LedgerEvent) -> None:
        """Handle a ledger event: a doubt may have arisen or been settled."""
        if event.account == self._account and TaskState.IN_DOUBT in (event.from_state, event.to_state):
            self.awaited = True
            self._news.set()

    async def begin(self) -> MeterReading | None:
        """Record the key's used quota; call before this process submits anything."""
        return await self._meter.start()

    async def keep_looking(self, on_look: Callable[[LogLook, Sequence[Unowned]], Awaitable[None]]) -> None:
        """Look up doubts whenever due, for the duration of the run.

        `on_look` is called after each look-up with the doubts that no run should wait for any longer, and
        whenever `awaited` may have changed.
        """
        while True:
            self._news.clear()
            doubts = [one for one in await self._unowned() if one.is_doubt]
            self.awaited = any(self._is_awaited(one) for one in doubts)
            if (due := self._due(doubts)) > self._clock.now():
                await on_look(LogLook(), ())
                await self._wait(due)
                continue
            look = await self.look(doubts)
            self._next_look = self._clock.now() + max(BETWEEN_LOOKS, look.retry_after)
            for one in doubts:
                if self._age(one) >= FIRST_LOOK:
                    self._hopeful[one.attempt] = one.attempt in look.hopeful
            given_up = [one for one, _ in look.advice if not self._is_awaited(one)]
            self.awaited = True  # a run that ended now would leave a task pending that was to be resubmitted
            await on_look(look, given_up)

    async def look(self, doubts: Sequence[Unowned]) -> LogLook:
        """One look-up for all: adopt what is found, and record what the log shows about the others."""
        # Read before the log: what is accepted in between need not be in it.
        accepted = await self._ledger.ask_history(partial(witnesses, account=self._account))
        await self._meter.read()
        log = await self._gateway.usage_log()
        if isinstance(log, QueryFailed | QueryRefused):
            text = f"the usage log can't be read: {log.receipt.said}"
            return LogLook(
                advice=tuple((one, text) for one in doubts),
                hopeful=frozenset(one.attempt for one in doubts if isinstance(log, QueryFailed)),
                failure=text,
                retry_after=(log.retry_after or 0.0) if isinstance(log, QueryFailed) else 0.0,
            )
        doubts = [replace(one, ahead=log.ahead) for one in doubts]
        seen, unseen = await self._sight(candidates(log.rows, await self._known(), doubts))
        # Read only now: unanswered submissions compete too, and may have been answered since.
        unowned = [replace(one, ahead=log.ahead) for one in await self._unowned()]
        ours = await self._known()
        strange = [one for one in seen if one.remote_id not in ours]
        found = await self._found(unowned, strange, log.rows) if not unseen else {}
        taken_up = []
        for one in (one for one in unowned if one.attempt in found):
            remote_id = found[one.attempt]
            with suppress(RemoteIdTaken):  # another submission was answered with this ID in between
                await self._ledger.move(one.key, adopted(remote_id, self._accepted(one, remote_id)))
                taken_up.append((one, remote_id))
        settled = {one.attempt for one, _ in taken_up}
        left = [one for one in doubts if one.attempt not in settled]
        look = await self._advised(left, log.rows, accepted)
        taken = {remote_id for _, remote_id in taken_up}
        rows = {row.remote_id: row for row in log.rows if row.remote_id in unseen}
        await self._keep_candidates(left, [one for one in strange if one.remote_id not in taken], rows)
        # A task that could not be queried may be anybody's.
        silent = look.silent if not unseen else frozenset()
        return replace(look, adopted=tuple(taken_up), silent=silent)

    async def _unowned(self) -> list[Unowned]:
        """The submissions with this account that may be in its log, and have no remote ID."""
        return [one for one in await self._ledger.unowned() if one.account == self._account]

    async def _known(self) -> frozenset[RemoteId]:
        """The tasks of the gateway that belong to a run of this command: no other run may adopt them."""
        ours = await self._ledger.remote_ids()
        return ours | await self._siblings.remote_ids(self._ledger) if self._siblings else ours

    async def _found(
        self, unowned: Sequence[Unowned], strange: Sequence[Sighting], rows: Sequence[UsageRow]
    ) -> Mapping[AttemptId, RemoteId]:
        """Match doubts with gateway tasks that don't belong to an attempt yet."""
        latest = self._clock.real(LATEST)
        found = adoptable(unowned, strange, latest)
        left = [one for one in unowned if one.attempt not in found]
        others = [one for one in strange if one.remote_id not in found.values()]
        at = [
            (one.model, one.submitted_at)
            for one in strange
            if one.remote_id in found.values() and one.submitted_at
        ]
        known, before = await self._answered()
        adopted = [*before, *at]
        return {**failures(left, others, rows, known, adopted, latest), **found}

    async def _keep_candidates(
        self, doubts: Sequence[Unowned], strange: Sequence[Sighting], unseen: Mapping[RemoteId, UsageRow]
    ) -> None:
        for one in doubts:
            may_be = named(one, strange, unseen, self._clock.real(LATEST))
            kept = json.dumps([asdict(candidate) for candidate in may_be])
            await self._ledger.note(one.attempt, AttemptFacts(candidates=kept))

    async def _advised(
        self, doubts: Sequence[Unowned], rows: Sequence[UsageRow], accepted: Sequence[Witness]
    ) -> LogLook:
        known, adopted = await self._answered()
        latest, beyond = self._clock.real(LATEST), await self._meter.beyond(rows, accepted)
        said, hopeful, silent = [], set(), set()
        for one in doubts:
            signs = unexplained(one, rows, known, adopted, latest)
            over = beyond.get(one.process, UNREAD)
            unproven = why_unproven(one, rows, accepted, latest, over)
            text = advice(one, rows, signs, unproven, over.certain)
            when = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y-%m-%d %H:%M UTC")
            await self._ledger.note(one.attempt, AttemptFacts(looked_up=f"{text} ({when})"))
            said.append((one, text))
            if (signs and one.seed is not None) or (over.may_be and not over.certain):
                hopeful.add(one.attempt)
            if not signs and not unproven:
                silent.add(one.attempt)
        return LogLook(advice=tuple(said), hopeful=frozenset(hopeful), silent=frozenset(silent))

    async def _answered(self) -> tuple[frozenset[str], list[tuple[str, float]]]:
        """What accounts for rows of the log: known request IDs, and acceptance times of adopted tasks."""
        return await self._ledger.ask_history(lambda db: (request_ids(db), adopted_at(db)))

    def _accepted(self, one: Unowned, remote_id: RemoteId) -> float:
        """When the gateway accepted it, by its own clock if plausible."""
        at = self._sighted[remote_id].submitted_at
        return at if at is not None and one.submitted_at <= at <= self._clock.wall() else one.submitted_at

    async def _sight(self, remote_ids: Sequence[RemoteId]) -> tuple[list[Sighting], list[RemoteId]]:
        """What the gateway shows of each, and those that could not be queried, which prove nothing."""
        shown: list[Sighting] = []
        unseen: list[RemoteId] = []
        for remote_id in remote_ids:
            seen = self._sighted.get(remote_id) or await self._queries.sight(remote_id)
            if isinstance(seen, Sighting):
                shown.append(seen)
                if seen.is_whole:
                    self._sighted[remote_id] = seen
            elif not isinstance(seen, NotVisible):
                unseen += remote_ids[remote_ids.index(remote_id) :]
                break
        return shown, unseen

    def _age(self, one: Unowned) -> float:
        """Nominal seconds since it was submitted, or since it was first seen here if that is longer."""
        now = self._clock.now()
        return max(self._clock.since(one.submitted_at), now - self._noticed.setdefault(one.attempt, now))

    def _is_awaited(self, one: Unowned) -> bool:
        """Whether a run should wait for the next look-up of this doubt."""
        return self._hopeful.get(one.attempt, True) and (
            one.attempt not in self._hopeful or self._age(one) < WORTH_WAITING
        )

    def _due(self, doubts: Sequence[Unowned]) -> float:
        """When the next look-up is due, in nominal seconds; infinity while nothing is in doubt."""
        if not doubts:
            return math.inf
        new = [self._age(one) for one in doubts if one.attempt not in self._hopeful]
        if not new:
            return self._next_look
        # An outage keeps adding doubts: the older ones must not wait for its end.
        left = min(FIRST_LOOK - min(new), BETWEEN_LOOKS - max(new))
        return max(self._clock.now() + left, self._next_look)

    async def _wait(self, due: float) -> None:
        """Wait until the look-up is due, or a doubt arises or is settled."""
        seconds = None if due == math.inf else self._clock.real(due - self._clock.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()


def describe_look(look: LogLook) -> str:
    """Format a look-up as a message to the user."""
    if look.failure:
        return look.failure
    found = [f"{printable(one.id)} as {remote_id}" for one, remote_id in look.adopted]
    parts = [f"found {', '.join(found)}"] if found else []
    parts += [f"{count(len(look.advice), 'task')} still in doubt"] if look.advice else []
    return f"usage log look-up: {'; '.join(parts) or 'no tasks in doubt'}"
