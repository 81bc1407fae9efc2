"""Polls and look-ups share one rate, and a pause that the gateway asks for."""

import asyncio

import pytest

from batchrunner.clock import Clock
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import InProgress, NotVisible, QueryFailed, Receipt
from batchrunner.core.poll_schedule import MOST_POLLS
from batchrunner.engine.queries import Queries

ID = RemoteId("task_1")
LIMITED = QueryFailed(Receipt(429), 1200.0)


class WaitingClock(Clock):
    """Stands still but for sleeps, which take no time."""

    time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


class Answering:
    """A gateway that answers a poll as told, and shows nothing."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def poll(self, remote_id: str) -> object:
        return self.answer

    async def sight(self, remote_id: str) -> object:
        return NotVisible(Receipt(400))


@pytest.mark.parametrize(
    ("answer", "next_at"),
    [
        (LIMITED, 1200.0),
        (QueryFailed(Receipt(429), None), 1 / MOST_POLLS),
        (QueryFailed(Receipt(503), 1200.0), 1 / MOST_POLLS),
        (InProgress("IN_PROGRESS", "running", ""), 1 / MOST_POLLS),
    ],
)
def test_a_429_with_retry_after_to_one_poll_pauses_all_queries(answer: object, next_at: float) -> None:
    """It is about the account; without a time, or with another error, only the rate counts."""

    async def story() -> tuple[object, float, float]:
        clock = WaitingClock()
        queries = Queries(Answering(answer), clock)  # type: ignore[arg-type]
        got, asked = await queries.poll(ID)
        await queries.sight(ID)
        return got, asked, clock.time

    assert asyncio.run(story()) == (answer, 0.0, pytest.approx(next_at))
