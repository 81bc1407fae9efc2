"""When a run must wait for a look-up of its submissions in doubt."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.model import AttemptId, TaskKey
from batchrunner.engine.adopter import Adopter, LogLook

BEGAN = 1_700_000_000.0
DOUBT = Unowned(AttemptId(1), TaskKey("1-0"), "ant", True, "a model", 42, 4, "480p", submitted_at=BEGAN)


class LeapingClock(Clock):
    """Waits pass at once: what is asked for in real seconds has passed by then."""

    time = 0.0

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return BEGAN + self.time

    def real(self, seconds: float) -> float:
        self.time += seconds
        return 0.0


class Journal:
    """A ledger with one submission in doubt."""

    async def unowned(self) -> list[Unowned]:
        return [DOUBT]


class Looking(Adopter):
    """Finds nothing, and nothing that a later look-up may settle."""

    async def look(self, doubts: Sequence[Unowned]) -> LogLook:
        return LogLook(advice=tuple((one, "the log shows nothing") for one in doubts))


def test_a_run_does_not_end_while_a_look_up_is_acted_on() -> None:
    """Whoever acts on it may declare a doubt lost, and submits its task only then: `awaited` says to wait.

    Above all from the second look-up on, when no run would wait for the doubt itself any longer.
    """
    adopter = Looking(cast(Any, Journal()), cast(Any, None), LeapingClock())
    seen: list[tuple[Sequence[Unowned], bool]] = []

    async def on_look(look: LogLook, given_up: Sequence[Unowned]) -> None:
        if look.advice:
            seen.append((given_up, adopter.awaited))
        if len(seen) == 3:
            raise EOFError

    with pytest.raises(EOFError):
        asyncio.run(adopter.keep_looking(on_look))
    assert seen == [([DOUBT], True)] * 3
