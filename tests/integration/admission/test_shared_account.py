"""Several runs on one account: shares of the slots, and which refusals concern all of them."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from batchrunner.core.errors import ExitCode
from batchrunner.core.model import AUTO, RemoteId, TaskKey
from batchrunner.core.outcome import (
    NOT_VISIBLE,
    Accepted,
    AccountFault,
    AccountRefused,
    InProgress,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    Unknown,
)
from batchrunner.engine.shared_account import SharedAccount
from tests.integration.admission.conftest import Gatehouse

ACCEPTED = Accepted(RemoteId("task_1"), Receipt(200))
KEY_REFUSED = AccountRefused(AccountFault.KEY, Receipt(401))
BALANCE = AccountRefused(AccountFault.BALANCE, Receipt(403))


class Runs:
    """Runs that share an account, each with a dispatcher that submits as long as it is let."""

    def __init__(self, *settings: dict[str, Any]) -> None:
        self.account = SharedAccount()
        self.gates = [Gatehouse(self.account, **each) for each in settings]
        for gate in self.gates[1:]:
            gate.clock = self.gates[0].clock
            gate.admission._clock = gate.admission.run.clock = gate.clock
        self.flying: list[list[TaskKey]] = [[] for _ in settings]
        self._dispatchers: list[asyncio.Task[None]] = []

    def dispatch(self, *numbers: int) -> None:
        """Let these runs submit, or all; each submission is accepted."""
        for number in numbers or range(len(self.gates)):
            self._dispatchers.append(asyncio.create_task(self._submit(number)))

    async def _submit(self, number: int) -> None:
        gate = self.gates[number]
        while permit := await gate.admission.next():
            self.flying[number].append(permit.task.key)
            gate.admission.record(permit, ACCEPTED)
            await asyncio.sleep(0)

    async def settle(self) -> list[int]:
        """Let everything happen that can; returns how many tasks of each run are in flight."""
        for _ in range(200):
            await asyncio.sleep(0)
        assert self.account.slots == sum(map(len, self.flying))
        return [len(flying) for flying in self.flying]

    def end(self, number: int) -> None:
        """The oldest generation of a run has ended."""
        self.gates[number].admission.free_slot(self.flying[number].pop(0), settled=True)

    def stop(self) -> None:
        for dispatcher in self._dispatchers:
            dispatcher.cancel()


def together(story: Callable[[Runs], Awaitable[Any]], *settings: dict[str, Any]) -> Any:
    async def go() -> Any:
        runs = Runs(*settings)
        try:
            return await story(runs)
        finally:
            runs.stop()

    return asyncio.run(go())


def weighing(*weights: int, concurrency: int = 12) -> list[dict[str, Any]]:
    return [{"concurrency": concurrency, "weight": weight} for weight in weights]


# --- shares -------------------------------------------------------------------------------------------


def test_three_runs_share_twelve_slots_by_weight():
    """Weights 1, 2, 3 hold 2, 4, 6 of 12 slots, and go on holding them while tasks end in any order."""

    async def story(runs):
        for gate in runs.gates:
            gate.put(*range(60))
        runs.dispatch()
        seen = [await runs.settle()]
        for number in (0, 1, 2, 2, 1, 2, 0, 1, 2, 2, 1, 2) * 3:
            runs.end(number)
            seen.append(await runs.settle())
        return seen

    assert set(map(tuple, together(story, *weighing(1, 2, 3)))) == {(2, 4, 6)}


def test_no_slot_is_idle_while_any_run_has_a_task():
    """What the others don't use goes to the one that has tasks, and back when they want it again."""

    async def story(runs):
        light, heavy = runs.gates
        light.put(*range(40))
        runs.dispatch(0)
        alone = await runs.settle()
        heavy.put(*range(40))
        runs.dispatch(1)
        for _ in range(9):
            runs.end(0)
            await runs.settle()
        shared = await runs.settle()
        return alone, shared

    assert together(story, *weighing(1, 3)) == ([12, 0], [3, 9])


def test_a_run_that_made_way_is_not_forgotten():
    """Two slots are free: the run that let another one go first takes the second, without any answer."""

    async def story(runs):
        many, few = runs.gates
        for _ in range(3):
            many.occupy()
        many.put(*range(5))
        few.put(0)
        asking = [asyncio.create_task(gate.admission.next()) for gate in runs.gates]
        await asyncio.sleep(0)
        for number in (0, 1):
            many.admission.free_slot(TaskKey(f"1-earlier-{number}"), settled=True)
        done, _ = await asyncio.wait(asking, timeout=5, return_when=asyncio.ALL_COMPLETED)
        return len(done)

    assert together(story, *weighing(1, 1, concurrency=3)) == 2


def test_a_run_that_ends_leaves_its_slots_to_the_others():
    """Its unfinished tasks count no longer: nobody would ever free their slots."""

    async def story(runs):
        for gate in runs.gates:
            gate.put(*range(40))
        runs.dispatch()
        before = await runs.settle()
        runs.gates[0].admission.run.close()
        await runs.settle()
        runs.gates[0].admission.leave()
        runs.flying[0].clear()
        return before, await runs.settle()

    assert together(story, *weighing(1, 1)) == ([6, 6], [0, 12])


def test_a_run_never_has_more_slots_than_its_own_concurrency():
    """The largest concurrency counts for all together; each keeps to its own."""

    async def story(runs):
        for gate in runs.gates:
            gate.put(*range(40))
        runs.dispatch()
        return await runs.settle()

    assert together(story, {"concurrency": 3, "weight": 9}, {"concurrency": 10}) == [3, 7]


def test_a_run_that_only_collects_takes_slots_but_raises_no_limit():
    """Its tasks in flight hold slots of the account; its own concurrency is no reason for more."""

    async def story(runs):
        collecting, submitting = runs.gates
        collecting.occupy()
        runs.flying[0].append(TaskKey("1-earlier-0"))
        submitting.put(*range(40))
        runs.dispatch()
        return await runs.settle()

    assert together(story, {"concurrency": 40, "weight": 0}, {"concurrency": 4}) == [1, 3]


def test_submissions_of_all_runs_keep_one_rate():
    """Two runs with 60 submissions a minute each have 60 a minute together."""

    async def story(runs):
        for gate in runs.gates:
            gate.put(*range(5))
        runs.dispatch()
        for _ in range(20):
            await runs.settle()
        return runs.gates[0].clock.time, sum(map(len, runs.flying))

    time, sent = together(story, *[{"concurrency": 50, "submit_rate": 60.0}] * 2)
    assert (sent, round(time)) == (10, 9)


def test_the_capacity_of_an_account_is_found_by_all_runs_together():
    """With concurrency: auto, tasks of all runs show how many run and how many are queued."""

    async def story(runs):
        for gate in runs.gates:
            gate.put(*range(40))
        runs.dispatch()
        for _ in range(60):
            await runs.settle()
            flights = [(number, key) for number, keys in enumerate(runs.flying) for key in keys]
            for place, (number, key) in enumerate(flights):
                where = "running" if place < 6 else "queued"
                runs.gates[number].admission.saw(key, InProgress("IN_PROGRESS", where, ""))
            runs.gates[0].clock.time += 5.0
        return await runs.settle()

    counts = together(story, *[{"concurrency": AUTO}] * 2)
    assert 7 <= sum(counts) <= 8, counts
    assert min(counts) >= 3


# --- refusals -----------------------------------------------------------------------------------------


def refused(outcome: Any) -> Any:
    """What the other run decides after one run's submission had this outcome: its decision, in words."""

    async def story(runs):
        first, second = runs.gates
        first.put(0, 1)
        (permit,) = await first.take()
        first.admission.record(permit, outcome)
        second.put(0)
        try:
            got = await asyncio.wait_for(second.admission.next(), 0.05)
        except TimeoutError:
            return second.admission.waiting_for
        return got.task.position if got else second.admission.stop.exit_code

    return together(story, *weighing(1, 1))


def test_what_the_account_refuses_stops_all_runs():
    """A refused key or an empty balance is met once, not once by every run."""
    assert refused(KEY_REFUSED) == ExitCode.ACCOUNT
    assert refused(BALANCE) == ExitCode.ACCOUNT


def test_what_concerns_one_run_leaves_the_others_alone():
    """A rejected prompt is no reason for another run to wait."""
    assert refused(Rejected(Receipt(400, code="invalid_request"))) == 0


def test_tasks_that_the_key_does_not_see_stop_only_their_run():
    """They were submitted with another key, which says nothing about what this key may submit."""

    async def story(runs):
        first, second = runs.gates
        first.put(0)
        second.put(0)
        first.admission.refuse(AccountFault.KEY, Receipt(code=NOT_VISIBLE))
        ended = await first.admission.next()
        (permit,) = await second.take()
        return ended, permit.task.position

    assert together(story, *weighing(1, 1)) == (None, 0)


def test_a_429_pauses_all_runs():
    """The pause that the gateway asks one run for is kept by the other one, too."""

    async def story(runs):
        first, second = runs.gates
        first.put(0)
        second.put(0)
        (permit,) = await first.take()
        first.admission.record(permit, NotAdmitted(Refusal.THROTTLED, Receipt(429), 30.0))
        await second.take()
        return runs.gates[0].clock.time

    assert together(story, *weighing(1, 1)) == 30.0


def test_unanswered_submissions_of_all_runs_count_together():
    """Together they risk as many doubts as the strictest of them allows."""

    async def story(runs):
        for gate in runs.gates:
            gate.put(*range(20))
        permits = Counter()
        for number, gate in enumerate(runs.gates * 10):
            asking = asyncio.create_task(gate.admission.next())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if asking.done():
                permits[number % 2] += 1
            asking.cancel()
        return permits.total()

    assert together(story, {"max_in_doubt": 3}, {"max_in_doubt": 5}) == 3


def test_three_missing_answers_stop_all_runs():
    """After three unknown outcomes in a row, whoever got them, no run submits for five minutes."""

    async def story(runs):
        first, second = runs.gates
        first.put(*range(9))
        second.put(*range(9))
        for gate in (first, second, first):
            (permit,) = await gate.take()
            gate.admission.record(permit, Unknown(Receipt(502)))
        await second.take()
        return runs.gates[0].clock.time

    assert together(story, *weighing(1, 1)) == 300.0
