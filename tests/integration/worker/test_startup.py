"""The opening of a run: what is already paid for comes first, oldest first, before any POST."""

import asyncio
from types import SimpleNamespace

import pytest

from batchrunner.core.errors import ExitCode
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import Preflight, PreflightOutcome, Receipt
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.engine import startup
from batchrunner.engine.startup import LONGEST_WAIT, ask_first, put_pending, take_up
from batchrunner.engine.task_group import RunTaskGroup

FAST = "dreamina-seedance-2-0-fast"


class Answering:
    """A gateway whose answers to the first question are given."""

    origin = "https://gateway.example"

    def __init__(self, *verdicts, models=()):
        self._verdicts, self._models = list(verdicts), frozenset(models)
        self.asked = 0

    async def preflight(self):
        self.asked += 1
        verdict = self._verdicts.pop(0) if len(self._verdicts) > 1 else self._verdicts[0]
        return PreflightOutcome(verdict, self._models, Receipt(message="some words"))


def first_question(shop, gateway, models=frozenset({FAST})):
    async def story(parts):
        notices = []
        ready = await ask_first(gateway, parts.admission, parts.clock, models, notices.append)
        return ready, parts.admission.stop, notices

    return shop(story, "cat")


def test_a_gateway_that_knows_the_key_lets_the_run_begin(shop):
    """A list with the plan's models needs no word."""
    assert first_question(shop, Answering(Preflight.READY, models=[FAST])) == (True, None, [])


def test_a_model_that_is_not_listed_is_a_warning_only(shop):
    """Lists may be wrong: the run begins, with a word about the model."""
    ready, stop, notices = first_question(shop, Answering(Preflight.READY, models=["another"]))
    assert (ready, stop, len(notices)) == (True, None, 1)
    assert FAST in notices[0]


@pytest.mark.parametrize("verdict", [Preflight.WRONG_KEY, Preflight.WRONG_ADDRESS, Preflight.UNREACHABLE])
def test_a_wrong_key_or_address_sends_nothing(shop, verdict):
    """The run ends with exit 4 before its first POST; only what can't be reached is asked again."""
    gateway = Answering(verdict)
    ready, stop, _ = first_question(shop, gateway)
    assert (ready, stop.exit_code) == (False, ExitCode.ACCOUNT)
    assert (gateway.asked > 1) == (verdict is Preflight.UNREACHABLE)


def test_a_gateway_that_comes_back_is_waited_for(shop):
    """Unreachable at first, ready in the end: the run begins."""
    gateway = Answering(Preflight.UNREACHABLE, Preflight.UNREACHABLE, Preflight.READY)
    ready, stop, notices = first_question(shop, gateway)
    assert (ready, stop, len(notices)) == (True, None, 2)


async def accepted(parts, task_id, at, finished_at=None):
    """A task of an earlier run that is generating, or collecting where it has finished."""
    key = next(task.key for task in parts.plan.tasks if task.id == task_id)
    attempt = await parts.ledger.claim(key, None, None)
    known = AttemptFacts(remote_id=RemoteId(f"task_{task_id}"), accepted_at=at)
    await parts.ledger.move(key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=known), attempt.id)
    if finished_at is not None:
        known = AttemptFacts(finished_at=finished_at)
        await parts.ledger.move(key, Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=known), attempt.id)


def taking(parts, worker, group, collect):
    """The parts of a run with one account that `take_up` uses."""
    lane = SimpleNamespace(worker=worker, admission=parts.admission)
    lanes = SimpleNamespace(of=lambda task: lane)
    return SimpleNamespace(lanes=lanes, group=group, collect=collect, collect_by_link=pytest.fail)


def test_paid_tasks_are_resumed_oldest_first(shop):
    """Videos that are ready are collected and generations followed, oldest first, and hold their slots."""

    async def story(parts):
        await accepted(parts, "young", at=20.0)
        await accepted(parts, "old", at=10.0)
        await accepted(parts, "late", at=1.0, finished_at=40.0)
        await accepted(parts, "early", at=2.0, finished_at=30.0)
        order = []

        class Following:
            async def resume(self, record, polled):
                order.append(("follow", record.id, parts.admission.slots))
                polled()

        names = {task.key: task.id for task in parts.plan.tasks}
        async with RunTaskGroup(pytest.fail) as group:
            collect = lambda key: order.append(("collect", names[key]))  # noqa: E731
            await take_up(parts.ledger, taking(parts, Following(), group, collect), parts.clock)
        return order

    assert shop(story, "young", "old", "late", "early", "new") == [
        ("collect", "early"),
        ("collect", "late"),
        ("follow", "old", 2),
        ("follow", "young", 2),
    ]


def test_resuming_waits_for_the_first_answer_of_every_task(shop):
    """Before more is paid, each generation in flight must have been answered, or have ended."""

    async def story(parts):
        for number, name in enumerate(("a", "b")):
            await accepted(parts, name, at=float(number))
        told = []

        class Following:
            async def resume(self, record, polled):
                told.append(polled)
                await asyncio.Event().wait()

        async with RunTaskGroup(pytest.fail) as group:
            lot = taking(parts, Following(), group, parts.collected.append)
            waiting = asyncio.create_task(take_up(parts.ledger, lot, parts.clock))
            while len(told) < 2:  # noqa: ASYNC110 both are being followed
                await asyncio.sleep(0)
            for polled in told:
                for _ in range(5):
                    await asyncio.sleep(0)
                assert not waiting.done()
                polled()
            await asyncio.wait_for(waiting, 5)
            group.dismiss()

    shop(story, "a", "b")


def test_pending_tasks_wait_for_their_time_but_no_longer_than_the_limit(shop):
    """`not_before` is kept over a restart; a clock that was set back holds nobody for hours."""

    async def story(parts):
        busy = Move(Event.NOT_ADMITTED, TaskState.PENDING)
        now = parts.clock.wall()
        parts.clock.wall = lambda: now
        for name, ahead in (("soon", 0.05), ("far", 1e6), ("past", -1e6)):
            key = next(task.key for task in parts.plan.tasks if task.id == name)
            attempt = await parts.ledger.claim(key, None, None)
            not_before = now + ahead
            await parts.ledger.move(key, Move(busy.event, busy.to, not_before=not_before), attempt.id)
        delays = {}

        class Slots:
            def put(self, task, delay=0.0):
                delays[parts.plan.tasks[task.position].id] = delay

        await put_pending(parts.ledger, Slots(), parts.clock, None, {})
        return delays

    delays = shop(story, "soon", "far", "past", "new")
    assert (delays["past"], delays["new"], delays["far"]) == (0.0, 0.0, LONGEST_WAIT)
    assert delays["soon"] == pytest.approx(50.0)  # nominal seconds


async def ids_put(parts, selected=None):
    """The IDs of the tasks that are put into the backlog, in this order."""
    put = []

    class Slots:
        def put(self, task, delay=0.0):
            put.append(parts.plan.tasks[task.position].id)

    await put_pending(parts.ledger, Slots(), parts.clock, selected, {})
    return put


def test_only_selected_tasks_enter_the_backlog(shop):
    """With a selection, the other pending tasks are left for another run."""

    async def story(parts):
        return await ids_put(parts, frozenset(task.key for task in parts.plan.tasks if task.id != "dog"))

    assert shop(story, "cat", "dog", "fox") == ["cat", "fox"]


def test_pending_tasks_are_read_in_parts(shop, monkeypatch):
    """None is left out, and none is put twice, wherever a part ends."""
    monkeypatch.setattr(startup, "PUT_AT_ONCE", 2)

    async def story(parts):
        started = next(task.key for task in parts.plan.tasks if task.id == "b")
        await parts.ledger.claim(started, None, None)
        return await ids_put(parts)

    assert shop(story, "a", "b", "c", "d", "e") == ["a", "c", "d", "e"]
