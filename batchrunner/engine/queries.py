"""All queries about single tasks: one rate for all, and a pause for all if the gateway asks for it."""

from __future__ import annotations

from batchrunner.clock import Clock, Pace
from batchrunner.core.doubts.adoption import Sighting
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import NotVisible, PollOutcome, QueryFailed, QueryRefused
from batchrunner.core.poll_schedule import most_polls_per_second
from batchrunner.gateway import Gateway


class Queries:
    """Shared by everything that polls a task or looks one up."""

    def __init__(self, gateway: Gateway, clock: Clock, slots: int = 1, pace: Pace | None = None) -> None:
        """`pace` is shared with other runs; by default, it is the one for so many slots."""
        self._gateway, self._clock = gateway, clock
        self._pace = pace or Pace(clock, most_polls_per_second(slots))

    async def poll(self, remote_id: RemoteId) -> tuple[PollOutcome, float]:
        """Poll a task of ours; returns the answer, and when it was asked for, in nominal seconds."""
        await self._pace.turn()
        asked = self._clock.now()
        answer = await self._gateway.poll(remote_id)
        self._heed(answer)
        return answer, asked

    async def sight(self, remote_id: RemoteId) -> Sighting | NotVisible | QueryFailed | QueryRefused:
        """Look at a task that may be ours."""
        await self._pace.turn()
        answer = await self._gateway.sight(remote_id)
        self._heed(answer)
        return answer

    def _heed(self, answer: object) -> None:
        # A 429 is about the account; other errors may be about this task only.
        if isinstance(answer, QueryFailed) and answer.receipt.status == 429 and answer.retry_after:
            self._pace.hold(answer.retry_after)
