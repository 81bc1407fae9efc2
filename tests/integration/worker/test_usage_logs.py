"""The usage logs of several accounts, read as one."""

import asyncio
from types import SimpleNamespace
from typing import Any

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import NEWEST_ROWS, Sighting, UsageRow, reaches_back
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import NotVisible, QueryRefused, Receipt, UsageLog
from batchrunner.engine.accounts import UsageLogs

ONE = RemoteId("task_1")
REFUSED = QueryRefused(Receipt(401, message="Invalid token"))


def row(at: float, remote_id: RemoteId | None = None) -> UsageRow:
    return UsageRow(at=at, model="fast", request_id=f"r{at}", remote_id=remote_id, is_submission=True)


def logs(shown: Any = None, **answers: Any) -> UsageLogs:
    """The logs by account; `shown` are the accounts that show the task."""

    def gateway(log: Any) -> Any:
        async def usage_log() -> Any:
            return log if isinstance(log, QueryRefused) else UsageLog(tuple(log))

        return SimpleNamespace(usage_log=usage_log)

    def queries(name: str) -> Any:
        async def sight(remote_id: RemoteId) -> Any:
            seen = Sighting(remote_id, "fast", seed=1, duration=None, resolution=None, submitted_at=None)
            return seen if name in (shown or ()) else NotVisible(Receipt(400))

        return SimpleNamespace(sight=sight)

    found = {name: gateway(log) for name, log in answers.items()}
    return UsageLogs(found, {name: queries(name) for name in answers})


def read(usage: UsageLogs, every: bool = False) -> Any:
    return asyncio.run(usage.read(Clock(0.001), every))


def test_a_full_log_ends_what_all_of_them_show() -> None:
    """What is older than the oldest row of a full log may be missing there: nobody knows."""
    full = [row(5000.0 - number) for number in range(NEWEST_ROWS)]
    usage = logs(a=full, b=[row(9000.0), row(10.0)])
    rows = read(usage).rows
    assert [rows[0].at, rows[-1].at] == [9000.0, 5000.0 - NEWEST_ROWS + 1]
    assert not reaches_back(rows, 100.0)


def test_a_log_that_can_not_be_read_counts_where_all_are_needed() -> None:
    """Otherwise, the others are read, and the failure is kept to be named."""
    usage = logs(a=REFUSED, b=[row(10.0)])
    assert read(usage, every=True) == REFUSED
    assert [one.at for one in read(usage).rows] == [10.0]
    assert usage.failures == {"a": REFUSED}
    assert read(logs(a=REFUSED, b=REFUSED)) == REFUSED


def test_a_task_belongs_to_the_account_that_shows_it() -> None:
    """Its log may name it; if none does, each is asked."""
    named = logs(a=[row(1.0)], b=[row(2.0, ONE)], shown=["b"])
    read(named)
    assert asyncio.run(named.owner(ONE)) == "b"
    asked = logs(a=[], b=[], shown=["b"])
    assert isinstance(asyncio.run(asked.sight(ONE)), Sighting)
    assert asyncio.run(asked.owner(ONE)) == "b"
    assert isinstance(asyncio.run(logs(a=[], b=[]).sight(ONE)), NotVisible)
