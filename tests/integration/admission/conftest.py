"""Admission with a clock that jumps: each wait takes no time, and ends at its moment."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from batchrunner.clock import Clock
from batchrunner.core.kinds import Kind
from batchrunner.core.model import RunSettings, TaskKey
from batchrunner.core.submission.backlog import Permit, Waiting
from batchrunner.engine.admission import Admission
from batchrunner.engine.disk_room import Disk
from batchrunner.engine.shared_account import SharedAccount


class JumpingClock(Clock):
    """Stands still until somebody waits, and is then where that one wanted to be."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def real(self, seconds: float) -> float:
        self.time += max(0.0, seconds)
        return 0.0


class Gatehouse:
    """An admission, and the things around it as the test sets them."""

    def __init__(self, account: SharedAccount | None = None, **settings: Any) -> None:
        self.clock = JumpingClock()
        self.free, self.coming, self.in_doubt = 10**12, 0, 0
        self.answers = True
        """Whether the gateway answers the free question."""
        self.asked: list[float] = []
        """When the free question was asked."""
        self.looks = 0
        """How often it was asked how many are in doubt: by each decision."""
        self.settings = RunSettings(**{"submit_rate": math.inf, "disk_reserve": 1000, **settings})
        disk = Disk(lambda: self.free, self.settings.disk_reserve, 100, lambda: self.coming)
        self.admission = Admission(
            self.clock, self.settings, disk, self._doubts, self._answers, account=account
        )

    def _doubts(self) -> int:
        self.looks += 1
        return self.in_doubt

    async def _answers(self) -> bool:
        self.asked.append(self.clock.time)
        return self.answers

    def put(self, *positions: int, model: str = "fast", delay: float = 0.0) -> None:
        """Tasks that want a submission."""
        for position in positions:
            self.admission.run.put(Waiting(position, TaskKey(f"1-{position}"), model), delay)

    def occupy(self) -> None:
        """A generation of an earlier run is in flight."""
        self.admission.occupy(TaskKey(f"1-earlier-{self.admission.slots}"), Kind("fast"))

    async def take(self, count: int = 1) -> list[Permit]:
        """So many permits, one after the other."""
        permits = [await asyncio.wait_for(self.admission.next(), 5) for _ in range(count)]
        assert None not in permits
        return permits  # type: ignore[return-value]

    async def must_wait(self) -> None:
        """Nothing leaves now, nor at any later moment, before something happens."""
        waiting = asyncio.create_task(self.admission.next())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done(), waiting
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.fixture
def at_the_gate() -> Callable[..., Any]:
    """Runs a story with an admission; settings of the run by name."""

    def run(story: Callable[[Gatehouse], Awaitable[Any]], **settings: Any) -> Any:
        async def go() -> Any:
            return await story(Gatehouse(**settings))

        return asyncio.run(go())

    return run
