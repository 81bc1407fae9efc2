"""How a run is stopped: no new POST, those in the air awaited, and every failure told."""

import asyncio

import pytest

from batchrunner.core.errors import StorageError
from batchrunner.engine.shutdown import StopRequest, supervise
from batchrunner.engine.task_group import RunTaskGroup


class Gate:
    """An admission with so many submissions in the air."""

    def __init__(self, in_the_air=0):
        self.in_the_air, self.closed = in_the_air, False

    def close(self):
        self.closed = True


async def for_ever():
    await asyncio.Event().wait()


STOPPING = "stopping: what generates goes on at the gateway, and the next run collects it"


def test_work_that_ends_is_not_stopped():
    """Without a request the work runs to its end, and admission stays open."""
    gate, stop = Gate(), StopRequest()
    asyncio.run(supervise(asyncio.sleep(0), gate, stop, pytest.fail))
    assert (gate.closed, stop.signal) == (False, 0)


def test_a_signal_closes_and_cancels():
    """Asked by a signal, admission is closed and the work cancelled; the first signal counts."""

    async def story():
        gate, stop, notices = Gate(), StopRequest(), []
        asyncio.get_running_loop().call_soon(stop.by_signal, 15)
        asyncio.get_running_loop().call_soon(stop.by_signal, 2)
        await supervise(for_ever(), gate, stop, notices.append)
        return gate.closed, stop.signal, notices

    assert asyncio.run(story()) == (True, 15, [STOPPING])


def test_a_caller_that_insists_is_not_kept_waiting():
    """Cancelled once, unanswered submissions are awaited; again, they are not, but the work has ended."""

    async def story():
        gate, notices, ended = Gate(in_the_air=1), [], []

        async def work():
            try:
                await for_ever()
            finally:
                await asyncio.sleep(0)
                ended.append(True)

        def insists(text):
            notices.append((text, gate.closed))
            running.cancel()

        running = asyncio.create_task(supervise(work(), gate, StopRequest(), insists))
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return gate.in_the_air, notices, len(ended)  # now, not when the loop has cancelled everything

    waiting = "stopping: waiting up to 60 s for 1 unanswered submission"
    assert asyncio.run(story()) == (1, [(STOPPING, True), (waiting, True)], 1)


def test_submissions_in_flight_are_awaited_before_anything_is_cancelled():
    """The work goes on until the last submission has its outcome, and the waiting is told."""

    async def story():
        gate, stop, notices, order = Gate(in_the_air=1), StopRequest(), [], []

        async def work():
            try:
                while not gate.closed:  # noqa: ASYNC110 a fake that tells nobody
                    await asyncio.sleep(0)
                order.append("answered")
                gate.in_the_air = 0
                await for_ever()
            except asyncio.CancelledError:
                order.append("cancelled")
                raise

        asyncio.get_running_loop().call_soon(stop.by_signal, 2)
        await supervise(work(), gate, stop, notices.append)
        return order, notices

    order, notices = asyncio.run(story())
    assert order == ["answered", "cancelled"]
    assert notices[0] == STOPPING
    assert "1 unanswered submission" in notices[1]


def test_an_error_stops_like_a_signal_and_is_raised():
    """An error that nothing can go on after ends the run in the same order, and comes out at its end."""

    async def story():
        gate, stop = Gate(), StopRequest()
        asyncio.get_running_loop().call_soon(stop.by_error, StorageError("full"))
        asyncio.get_running_loop().call_soon(stop.by_error, ValueError("later"))
        with pytest.raises(StorageError, match="full"):
            await supervise(for_ever(), gate, stop, pytest.fail)
        return gate.closed

    assert asyncio.run(story())


def test_an_error_of_the_work_itself_comes_out():
    """What the work ends with is not swallowed."""

    async def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(supervise(fails(), Gate(), StopRequest(), pytest.fail))


def test_a_failing_worker_does_not_tear_the_others_down():
    """One worker's failure is reported; the others go on, for their submissions are in the air."""

    async def fails():
        raise ZeroDivisionError

    async def goes_on(done):
        await asyncio.sleep(0.01)
        done.append("done")

    async def story():
        failures, done = [], []
        async with RunTaskGroup(failures.append) as group:
            group.work(fails)
            group.collect(fails)
            group.work(goes_on, done)
        return [type(failure) for failure in failures], done

    assert asyncio.run(story()) == ([ZeroDivisionError, ZeroDivisionError], ["done"])


def test_the_task_group_knows_when_collecting_is_over():
    """`collected` waits for collectors alone, those that start meanwhile included, or for so long."""

    async def story():
        async with RunTaskGroup(pytest.fail) as group:
            group.work(for_ever)
            group.chore(for_ever)
            order = []

            async def second():
                await asyncio.sleep(0.01)
                order.append("second")

            async def first():
                await asyncio.sleep(0.01)
                group.collect(second)
                order.append("first")

            group.collect(first)
            await group.collected()
            order.append("over")
            group.collect(for_ever)
            await group.collected(at_most=0.01)
            order.append("not over")
            group.dismiss()
        return order

    assert asyncio.run(story()) == ["first", "second", "over", "not over"]
