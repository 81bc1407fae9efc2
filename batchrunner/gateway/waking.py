"""Timeouts that don't count the time a process was suspended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STEPS = 60
ASLEEP = 0.5
"""A step late by this many seconds means that the process was suspended, not just slow."""


class Patience:
    """How much of a timeout has passed, in steps."""

    def __init__(self, step: float, scope: asyncio.Timeout) -> None:
        """Watch from now on, in steps of this many seconds; at the end, let `scope` expire."""
        self._step, self._scope, self._loop = step, scope, asyncio.get_running_loop()
        self._steps = 0
        self._begin()

    def renew(self) -> None:
        """Restart the timeout after data has arrived."""
        self._steps = 0

    def stop(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _begin(self) -> None:
        # A timer instead of a task: every submission has two of these.
        self._due = self._loop.time() + self._step
        self._timer = self._loop.call_at(self._due, self._passed)

    def _passed(self) -> None:
        self._steps += self._loop.time() < self._due + ASLEEP
        if self._steps < STEPS:
            self._begin()
        else:
            self._scope.reschedule(self._loop.time())


@asynccontextmanager
async def awake_timeout(seconds: float) -> AsyncIterator[Patience]:
    """Like `asyncio.timeout`, but a step during which the process was suspended does not count.

    So an answer that arrived while the process was suspended can still be read. A single timer is not
    enough: after a suspension, asyncio runs due timers before it reads what has arrived.
    """
    async with asyncio.timeout(None) as scope:
        patience = Patience(seconds / STEPS, scope)
        try:
            yield patience
        finally:
            patience.stop()
