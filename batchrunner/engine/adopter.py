"""Looks up submissions in doubt in the gateway's usage log and adopts those that are found.

It only adopts. A charge may come long after its client has gone, so "lost" is a person's word, said with
`resolve --lost` or beforehand with `on_doubt: resubmit`; what the log showed is kept as advice.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

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
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger, LedgerEvent, RemoteIdTaken
from batchrunner.ledger.history import adopted_at, request_ids, witnesses

FIRST_LOOK = 300.0
"""Nominal seconds after a submission before it is looked up: its rows come late."""
BETWEEN_LOOKS = 600.0
"""Nominal seconds between two looks: the gateway answers 20 in 20 minutes, to all on this address."""
WORTH_WAITING = 1500.0
"""Nominal seconds that a run waits for a submission in doubt of which there is a sign."""
LATEST = 3600.0
"""Nominal seconds after its intent in which a submission may have reached the gateway."""


@dataclass(frozen=True, slots=True)
class LogLook:
    """What one look-up showed."""

    adopted: tuple[tuple[Unowned, RemoteId], ...] = ()
    advice: tuple[tuple[Unowned, str], ...] = ()
    """The doubts that it did not settle, and what the log shows of them."""
    hopeful: frozenset[AttemptId] = frozenset()
    """Those of them that a later look may settle."""
    silent: frozenset[AttemptId] = frozenset()
    """Those of which a log that demonstrably works shows no sign."""
    failure: str = ""
    """Why the log could not be read; empty where it could."""
    retry_after: float = 0.0
    """Seconds for which the gateway wants no further look-up."""


class Adopter:
    """Looks doubts up: 5 min after the newest, then every 10 min while one is open, one look-up for all."""

    def __init__(self, ledger: Ledger, gateway: Gateway, clock: Clock) -> None:
        self._ledger, self._gateway, self._clock = ledger, gateway, clock
        self._meter = KeyMeter(ledger, gateway)
        self._sighted: dict[RemoteId, Sighting] = {}
        """Tasks of the gateway that are not ours; what is settled doesn't change any more."""
        self._hopeful: dict[AttemptId, bool] = {}
        """The doubts that were looked up in their time, and whether a later look may settle them."""
        self._noticed: dict[AttemptId, float] = {}
        """When each doubt was first seen, in nominal seconds: the wall clock may have been set back."""
        self._next_look = 0.0
        self._news = asyncio.Event()
        self.awaited = True
        """Whether a look is still to come for which a run should not end yet."""

    def observe(self, event: LedgerEvent) -> None:
        """Hear of a doubt that arose, or was settled."""
        if TaskState.IN_DOUBT in (event.from_state, event.to_state):
            self.awaited = True
            self._news.set()

    async def begin(self) -> MeterReading | None:
        """Note how much the key has used; to be done before this process submits anything."""
        return await self._meter.start()

    async def keep_looking(self, on_look: Callable[[LogLook, Sequence[Unowned]], Awaitable[None]]) -> None:
        """LogLook doubts up in time, for as long as the run goes on.

        `on_look` is called after each look with the doubts for which no run should wait any longer, and
        whenever `awaited` may have changed.
        """
        while True:
            self._news.clear()
            doubts = [one for one in await self._ledger.unowned() if one.is_doubt]
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
            await on_look(look, [one for one, _ in look.advice if not self._is_awaited(one)])

    async def look(self, doubts: Sequence[Unowned]) -> LogLook:
        """One look-up for all: adopt what is found, and keep what the log shows of the others."""
        # Asked before the log is: what is accepted in between is not expected to be in it.
        accepted = await self._ledger.ask_history(witnesses)
        await self._meter.read()
        log = await self._gateway.usage_log()
        if isinstance(log, QueryFailed | QueryRefused):
            why = log.receipt.message or log.receipt.code or f"HTTP {log.receipt.status}"
            text = f"the usage log can't be read: {why}"
            return LogLook(
                advice=tuple((one, text) for one in doubts),
                hopeful=frozenset(one.attempt for one in doubts if isinstance(log, QueryFailed)),
                failure=text,
                retry_after=(log.retry_after or 0.0) if isinstance(log, QueryFailed) else 0.0,
            )
        doubts = [replace(one, ahead=log.ahead) for one in doubts]
        seen, unseen = await self._sight(candidates(log.rows, await self._ledger.remote_ids(), doubts))
        # Asked only now: what is in the air competes, too, and may have got its own answer since.
        unowned = [replace(one, ahead=log.ahead) for one in await self._ledger.unowned()]
        ours = await self._ledger.remote_ids()
        strange = [one for one in seen if one.remote_id not in ours]
        found = await self._found(unowned, strange, log.rows) if not unseen else {}
        taken_up = []
        for one in (one for one in unowned if one.attempt in found):
            remote_id = found[one.attempt]
            with suppress(RemoteIdTaken):  # another submission's own answer came in between
                await self._ledger.move(one.key, adopted(remote_id, self._accepted(one, remote_id)))
                taken_up.append((one, remote_id))
        settled = {one.attempt for one, _ in taken_up}
        left = [one for one in doubts if one.attempt not in settled]
        look = await self._advised(left, log.rows, accepted)
        taken = {remote_id for _, remote_id in taken_up}
        rows = {row.remote_id: row for row in log.rows if row.remote_id in unseen}
        await self._keep_candidates(left, [one for one in strange if one.remote_id not in taken], rows)
        # Of what could not be looked at, nobody knows whose it is.
        silent = look.silent if not unseen else frozenset()
        return replace(look, adopted=tuple(taken_up), silent=silent)

    async def _found(
        self, unowned: Sequence[Unowned], strange: Sequence[Sighting], rows: Sequence[UsageRow]
    ) -> Mapping[AttemptId, RemoteId]:
        """Which doubts are which of the gateway's tasks that are nobody's yet."""
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
        """What accounts for rows of the log: known request IDs, and when what was adopted was accepted."""
        return await self._ledger.ask_history(lambda db: (request_ids(db), adopted_at(db)))

    def _accepted(self, one: Unowned, remote_id: RemoteId) -> float:
        """When the gateway accepted it, by its own clock where that is possible."""
        at = self._sighted[remote_id].submitted_at
        return at if at is not None and one.submitted_at <= at <= self._clock.wall() else one.submitted_at

    async def _sight(self, remote_ids: Sequence[RemoteId]) -> tuple[list[Sighting], list[RemoteId]]:
        """What the gateway shows of each, and those that can't be seen: nothing can be told from them."""
        shown: list[Sighting] = []
        unseen: list[RemoteId] = []
        for remote_id in remote_ids:
            seen = self._sighted.get(remote_id) or await self._gateway.sight(remote_id)
            if isinstance(seen, Sighting):
                shown.append(seen)
                if seen.is_whole:
                    self._sighted[remote_id] = seen
            elif not isinstance(seen, NotVisible):
                unseen += remote_ids[remote_ids.index(remote_id) :]
                break
        return shown, unseen

    def _age(self, one: Unowned) -> float:
        """Nominal seconds since it was submitted; at least those since it was first seen here."""
        now = self._clock.now()
        return max(self._clock.since(one.submitted_at), now - self._noticed.setdefault(one.attempt, now))

    def _is_awaited(self, one: Unowned) -> bool:
        """Whether a run should wait for the next look at this doubt."""
        return self._hopeful.get(one.attempt, True) and (
            one.attempt not in self._hopeful or self._age(one) < WORTH_WAITING
        )

    def _due(self, doubts: Sequence[Unowned]) -> float:
        """When the next look is due, in nominal seconds; infinity while nothing is in doubt."""
        if not doubts:
            return math.inf
        new = [self._age(one) for one in doubts if one.attempt not in self._hopeful]
        if not new:
            return self._next_look
        # An outage brings new doubts all the time: the older ones don't wait for its end.
        left = min(FIRST_LOOK - min(new), BETWEEN_LOOKS - max(new))
        return max(self._clock.now() + left, self._next_look)

    async def _wait(self, due: float) -> None:
        """Until the look is due, or a doubt arises or is settled."""
        seconds = None if due == math.inf else self._clock.real(due - self._clock.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()


def describe_look(look: LogLook) -> str:
    """A look in words, for a person who follows the run."""
    if look.failure:
        return look.failure
    found = [f"{printable(one.id)} as {remote_id}" for one, remote_id in look.adopted]
    parts = [f"found {', '.join(found)}"] if found else []
    parts += [f"{count(len(look.advice), 'task')} still in doubt"] if look.advice else []
    return f"usage log look-up: {'; '.join(parts) or 'no tasks in doubt'}"
