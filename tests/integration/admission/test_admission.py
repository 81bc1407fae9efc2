"""May one more POST leave now? Slots, rate, disk and breaker, in one place."""

import asyncio

import pytest

from batchrunner.core.errors import ExitCode
from batchrunner.core.model import AUTO, RemoteId, TaskKey
from batchrunner.core.outcome import (
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
from batchrunner.engine.disk_room import DISK_PAUSE
from batchrunner.engine.shared_account import IDLE_LIMIT

ACCEPTED = Accepted(RemoteId("task_1"), Receipt(200))
UNKNOWN = Unknown(Receipt(502))
REJECTED = Rejected(Receipt(400, code="invalid_request"))
THROTTLED = NotAdmitted(Refusal.THROTTLED, Receipt(429), 30.0)
NO_CHANNEL = NotAdmitted(Refusal.MODEL_UNAVAILABLE, Receipt(503))
BALANCE = AccountRefused(AccountFault.BALANCE, Receipt(403))
UNREACHABLE = NotAdmitted(Refusal.UNREACHABLE, Receipt(message="no route"))
RUNNING = InProgress("IN_PROGRESS", "running", "")
FIVE_MINUTES = 300.0


async def turns() -> None:
    """Let everything that can go on do so."""
    for _ in range(20):
        await asyncio.sleep(0)


def positions(permits) -> list[int]:
    return [permit.task.position for permit in permits]


# --- slots and rate -----------------------------------------------------------------------------------


def test_tasks_leave_in_plan_order_until_the_slots_are_taken(at_the_gate):
    """As many leave as there are slots, the first of the plan first; the next waits for a slot."""

    async def story(gate):
        gate.put(3, 1, 0, 2)
        permits = await gate.take(3)
        for permit in permits:
            gate.admission.record(permit, ACCEPTED)
        await gate.must_wait()
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        return positions(permits + await gate.take())

    assert at_the_gate(story, concurrency=3) == [0, 1, 2, 3]


def test_poll_that_makes_no_room_decides_nothing(at_the_gate):
    """A thousand tasks in flight are polled many times a second: that must not be a decision each time."""

    async def story(gate):
        gate.put(0, 1)
        (permit,) = await gate.take()
        gate.admission.record(permit, ACCEPTED)
        waiting = asyncio.create_task(gate.admission.next())
        await turns()
        looks = gate.looks
        gate.admission.saw(permit.task.key, RUNNING)
        await turns()
        waiting.cancel()
        return gate.looks - looks

    assert at_the_gate(story, concurrency=1) == 0


def test_poll_that_makes_room_lets_the_next_task_go(at_the_gate):
    """When polls show that the account runs more than was known, a task that waits for it leaves at once."""

    async def story(gate):
        gate.put(*range(5))
        permits = await gate.take(3)
        for permit in permits:
            gate.admission.record(permit, ACCEPTED)
        waiting = asyncio.create_task(gate.admission.next())
        await turns()
        had_to_wait = not waiting.done()
        for permit in permits:
            gate.admission.saw(permit.task.key, RUNNING)
        return had_to_wait, positions([await asyncio.wait_for(waiting, 5)])

    assert at_the_gate(story, concurrency=AUTO) == (True, [3])


def test_a_slot_is_held_from_the_permit_to_the_end_of_the_generation(at_the_gate):
    """A slot is taken by a permit, kept by an acceptance, and given back by everything else."""

    async def story(gate):
        gate.put(*range(5))
        seen = []
        for outcome in (ACCEPTED, REJECTED, NO_CHANNEL, None):
            (permit,) = await gate.take()
            before = (gate.admission.slots, gate.admission.in_the_air)
            if outcome:
                gate.admission.record(permit, outcome)
            else:
                gate.admission.withdraw(permit)
            seen.append((before, (gate.admission.slots, gate.admission.in_the_air)))
            gate.put(99, model="other")
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        return seen, gate.admission.slots

    held = [((1, 1), (1, 0)), *[((2, 1), (1, 0))] * 3]
    assert at_the_gate(story) == (held, 0)


def test_generations_of_earlier_runs_hold_their_slots(at_the_gate):
    """What is already in flight counts: a run that resumes does not pass the concurrency."""

    async def story(gate):
        gate.occupy()
        gate.occupy()
        gate.put(0)
        await gate.must_wait()
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        return positions(await gate.take())

    assert at_the_gate(story, concurrency=2) == [0]


def test_submissions_are_spaced_by_the_rate_limit(at_the_gate):
    """With 60 submissions a minute each leaves a second after the last, and none before its turn."""

    async def story(gate):
        gate.put(*range(5))
        times = []
        for _ in range(5):
            (permit,) = await gate.take()
            times.append(gate.clock.time)
            gate.admission.record(permit, ACCEPTED)
        return times

    assert at_the_gate(story, submit_rate=60) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_task_with_a_delay_lets_others_pass(at_the_gate):
    """A task that has to wait goes at its time; those behind it do not wait for it."""

    async def story(gate):
        gate.put(0, delay=40)
        gate.put(1)
        permits = await gate.take(2)
        return positions(permits), gate.clock.time

    assert at_the_gate(story) == ([1, 0], 40.0)


def test_admission_ends_when_there_is_nothing_to_do(at_the_gate):
    """Without tasks and with every slot free there is nothing to wait for."""

    async def story(gate):
        assert await gate.admission.next() is None
        return gate.admission.stop

    assert at_the_gate(story) is None


def test_while_a_slot_is_taken_more_may_come(at_the_gate):
    """A submission in the air may come back: the dispatcher waits for it, and sends it again."""

    async def story(gate):
        gate.put(7)
        (permit,) = await gate.take()
        await gate.must_wait()
        at_once = NotAdmitted(Refusal.REFUNDED, Receipt(500), 1e-9)  # no pause that chance decides
        gate.admission.record(permit, at_once)
        gate.put(7, delay=3)
        (permit,) = await gate.take()
        gate.admission.record(permit, ACCEPTED)
        await gate.must_wait()
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        return await gate.admission.next(), gate.clock.time

    assert at_the_gate(story) == (None, 3.0)


def test_no_permit_is_given_after_closing(at_the_gate):
    """Closed, also while somebody waits, admission lets nothing leave any more."""

    async def story(gate):
        gate.put(0, 1)
        await gate.take()
        waiting = asyncio.create_task(gate.admission.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        gate.admission.run.close()
        return await waiting, await gate.admission.next(), gate.admission.run.closing

    assert at_the_gate(story, concurrency=1) == (None, None, True)


def test_drained_waits_for_the_last_slot(at_the_gate):
    """Everything is drained when no generation holds a slot."""

    async def story(gate):
        gate.occupy()
        gate.occupy()
        waiting = asyncio.create_task(gate.admission.run.drained())
        await asyncio.sleep(0)
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not waiting.done()
        gate.admission.free_slot(TaskKey("1-0"), settled=False)
        await asyncio.wait_for(waiting, 5)

    at_the_gate(story)


# --- the disk -----------------------------------------------------------------------------------------


def test_a_full_disk_with_nothing_on_its_way_stops_the_run(at_the_gate):
    """Where nothing will arrive that could settle it, a lack of room is exit 5, before anything is paid."""

    async def story(gate):
        gate.free = 1099  # the reserve and a video need 1100
        gate.put(0)
        permit = await gate.admission.next()
        return permit, gate.admission.stop

    permit, stop = at_the_gate(story)
    assert permit is None
    assert stop.exit_code == ExitCode.STORAGE
    assert stop.hint


def test_the_disk_must_hold_what_is_in_flight(at_the_gate):
    """Each submission needs room for everything on its way and itself; the last byte is enough."""

    async def story(gate):
        gate.coming, gate.free = 3, 1399
        gate.occupy()
        gate.put(0)
        waiting = asyncio.create_task(gate.admission.next())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert "disk" in gate.admission.waiting_for
        assert gate.clock.time >= 2 * DISK_PAUSE  # it has looked more than once
        gate.free = 1400
        return (await asyncio.wait_for(waiting, 5)).task.position, gate.admission.waiting_for

    assert at_the_gate(story) == (0, "")


# --- the breaker --------------------------------------------------------------------------------------


def test_a_refused_key_stops_the_run(at_the_gate):
    """After a refused key nothing leaves, and the reason is kept for the exit code."""

    async def story(gate):
        gate.put(0, 1)
        (permit,) = await gate.take()
        gate.admission.record(permit, AccountRefused(AccountFault.KEY, Receipt(401)))
        assert await gate.admission.next() is None
        return gate.admission.stop.exit_code

    assert at_the_gate(story) == ExitCode.ACCOUNT


def test_a_refused_query_stops_the_run(at_the_gate):
    """What a poll showed about the key wakes the dispatcher and stops it."""

    async def story(gate):
        gate.occupy()
        gate.put(0)
        waiting = asyncio.create_task(gate.admission.next())
        await asyncio.sleep(0)
        gate.admission.refuse(AccountFault.KEY, Receipt(401))
        assert await waiting is None
        return gate.admission.stop.exit_code

    assert at_the_gate(story, concurrency=1) == ExitCode.ACCOUNT


def test_a_refused_query_is_reported_when_nothing_is_left_to_submit(at_the_gate):
    """Also where no task waits any more, the run ends with the reason why its last one is not followed."""

    async def story(gate):
        gate.occupy()
        waiting = asyncio.create_task(gate.admission.next())
        await asyncio.sleep(0)
        gate.admission.refuse(AccountFault.KEY, Receipt(401))
        gate.admission.free_slot(TaskKey("1-0"), settled=False)
        assert await waiting is None
        return gate.admission.stop and gate.admission.stop.exit_code

    assert at_the_gate(story) == ExitCode.ACCOUNT


def test_a_stop_is_noted_without_asking_for_a_permit(at_the_gate):
    """A run that ends before its first question for a permit knows its reason, too."""

    async def story(gate):
        gate.admission.settle()
        assert gate.admission.stop is None
        gate.admission.refuse(AccountFault.ADDRESS, Receipt(200))
        gate.admission.settle()
        return gate.admission.stop.exit_code

    assert at_the_gate(story) == ExitCode.ACCOUNT


def test_a_throttled_gateway_is_left_alone_for_as_long_as_it_asks(at_the_gate):
    """After a 429 the next submission leaves when Retry-After is over."""

    async def story(gate):
        gate.put(0, 1)
        (permit,) = await gate.take()
        gate.admission.record(permit, THROTTLED)
        gate.put(0)
        (permit,) = await gate.take()
        return permit.task.position, gate.clock.time

    assert at_the_gate(story) == (0, 30.0)


def test_a_short_balance_is_probed_after_a_settlement(at_the_gate):
    """With something in flight nothing leaves until it has settled; then one submission, alone."""

    async def story(gate):
        gate.put(0, 1, 2)
        first, second = await gate.take(2)
        gate.admission.record(first, ACCEPTED)
        gate.admission.record(second, BALANCE)
        await gate.must_wait()
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        await gate.take()
        await gate.must_wait()

    at_the_gate(story)


def test_an_hour_without_an_acceptance_ends_submission(at_the_gate):
    """With nothing accepted and nothing in flight for 60 min the run ends unfinished, exit 75."""

    async def story(gate):
        gate.put(0)
        while permit := await gate.admission.next():
            gate.admission.record(permit, UNREACHABLE)
            gate.put(0)
        return gate.clock.time, gate.admission.stop

    time, stop = at_the_gate(story)
    assert IDLE_LIMIT <= time < IDLE_LIMIT + 600
    assert stop.exit_code == ExitCode.UNFINISHED


def test_the_hour_passes_while_the_last_tasks_are_in_the_air(at_the_gate):
    """That all tasks are being tried, and none waits, is no acceptance: a lone refused task ends, too."""

    async def story(gate):
        gate.put(0)
        (permit,) = await gate.take()
        while permit and gate.clock.time < 2 * IDLE_LIMIT:
            waiting = asyncio.create_task(gate.admission.next())
            await asyncio.sleep(0)
            gate.admission.record(permit, UNREACHABLE)
            gate.put(0)
            permit = await waiting
        return gate.clock.time, gate.admission.stop

    time, stop = at_the_gate(story)
    assert IDLE_LIMIT <= time < IDLE_LIMIT + 600
    assert stop.exit_code == ExitCode.UNFINISHED


def test_an_acceptance_restarts_the_hour(at_the_gate):
    """The hour counts from the last acceptance, or from the end of the last generation."""

    async def story(gate):
        gate.put(0, 1)
        (permit,) = await gate.take()
        gate.admission.record(permit, ACCEPTED)
        gate.clock.time = 10 * IDLE_LIMIT  # a long generation
        gate.admission.free_slot(TaskKey("1-0"), settled=True)
        return positions(await gate.take())

    assert at_the_gate(story) == [1]


def test_submissions_in_flight_are_limited_by_max_in_doubt(at_the_gate):
    """With 3 of 5 in doubt only two submissions are without an answer at once, whatever slots are free."""

    async def story(gate):
        gate.in_doubt = 3
        gate.put(*range(10))
        first, _ = await gate.take(2)
        await gate.must_wait()
        gate.admission.record(first, ACCEPTED)
        await gate.take()
        await gate.must_wait()

    at_the_gate(story, concurrency=50)


def fall_into_doubt(gate):
    """Three submissions end unknown."""

    async def go():
        for permit in await gate.take(3):
            gate.in_doubt += 1
            gate.admission.record(permit, UNKNOWN)

    return go()


def test_a_probe_leaves_alone_five_minutes_after_three_unknown_outcomes(at_the_gate):
    """First the free question, then one submission; the others wait for its answer."""

    async def story(gate):
        gate.put(*range(10))
        await fall_into_doubt(gate)
        (probe,) = await gate.take()
        assert (gate.clock.time, gate.asked) == (FIVE_MINUTES, [FIVE_MINUTES])
        await gate.must_wait()
        gate.admission.record(probe, ACCEPTED)
        return positions(await gate.take(2))

    assert at_the_gate(story) == [4, 5]


def test_no_probe_where_the_gateway_does_not_even_answer(at_the_gate):
    """A submission is not risked while a free question stays unanswered; its task keeps its place."""

    async def story(gate):
        gate.put(*range(10))
        await fall_into_doubt(gate)
        gate.answers = False
        waiting = asyncio.create_task(gate.admission.next())
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(gate.asked) > 1
        assert not waiting.done()
        assert (gate.admission.slots, gate.admission.in_the_air) == (0, 0)
        gate.answers = True
        permit = await waiting
        return permit.task.position, gate.asked

    position, asked = at_the_gate(story)
    assert position == 3
    assert asked == [FIVE_MINUTES * count for count in range(1, len(asked) + 1)]


def test_a_probe_is_alone_until_its_own_answer(at_the_gate):
    """The late answer to an earlier submission does not send another one after the probe."""

    async def story(gate):
        gate.put(*range(10))
        (slow,) = await gate.take()
        await fall_into_doubt(gate)
        (probe,) = await gate.take()
        gate.admission.record(slow, NotAdmitted(Refusal.REFUNDED, Receipt(500)))
        await gate.must_wait()
        gate.admission.record(probe, ACCEPTED)
        await gate.take()

    at_the_gate(story)


def test_a_permit_withdrawn_beside_a_probe_does_not_end_the_probe(at_the_gate):
    """An earlier permit that did not leave after all sends no other after the probe either."""

    async def story(gate):
        gate.put(*range(10))
        (slow,) = await gate.take()
        await fall_into_doubt(gate)
        await gate.take()
        gate.admission.withdraw(slow)
        await gate.must_wait()

    at_the_gate(story)


def test_a_model_without_a_channel_holds_no_other_back(at_the_gate):
    """Tasks of another model leave at once; those of the missing one wait."""

    async def story(gate):
        gate.put(0, 1)
        gate.put(2, 3, model="other")
        (permit,) = await gate.take()
        gate.admission.record(permit, NO_CHANNEL)
        gate.put(0)
        permits = await gate.take(2)
        assert gate.clock.time == 0
        (later,) = await gate.take()
        return positions(permits), later.task.position, gate.clock.time > 0

    assert at_the_gate(story) == ([2, 3], 0, True)


def test_a_missing_model_is_probed_by_one(at_the_gate):
    """When the wait for a model is over one task of it leaves; the others wait for its answer."""

    async def story(gate):
        gate.put(*range(5))
        (permit,) = await gate.take()
        gate.admission.record(permit, NO_CHANNEL)
        gate.put(0)
        (probe,) = await gate.take()
        await gate.must_wait()
        gate.admission.record(probe, ACCEPTED)
        return positions(await gate.take(2))

    assert at_the_gate(story) == [1, 2]


def test_identical_rejections_stop_the_run(at_the_gate):
    """Ten identical rejections, and a probe too: the rest of the plan is not sent, exit 1."""

    async def story(gate):
        gate.put(*range(20))
        sent = 0
        while permit := await gate.admission.next():
            sent += 1
            gate.admission.record(permit, REJECTED)
        return sent, gate.admission.stop.exit_code

    assert at_the_gate(story) == (11, ExitCode.FAILED)


@pytest.mark.parametrize("outcome", [ACCEPTED, REJECTED, UNKNOWN, THROTTLED, NO_CHANNEL, None])
def test_every_answer_wakes_the_dispatcher(at_the_gate, outcome):
    """The dispatcher looks again after each outcome and each withdrawal; none of them leaves it asleep."""

    async def story(gate):
        gate.put(0, 1)
        gate.put(2, model="other")
        (permit,) = await gate.take()
        waiting = asyncio.create_task(gate.admission.next())
        await asyncio.sleep(0)
        if outcome is None:
            gate.admission.withdraw(permit)
        else:
            gate.admission.record(permit, outcome)
        if outcome is ACCEPTED:
            gate.admission.free_slot(TaskKey("1-0"), settled=True)
        assert (await asyncio.wait_for(waiting, 5)).task.position in (1, 2)

    at_the_gate(story, concurrency=1)


def test_an_hour_of_collecting_what_a_chain_needs_is_no_hour_of_failures(at_the_gate):
    """Nothing could be submitted while a long download went on: then the next shot leaves."""

    async def story(gate):
        coming = ["collecting videos that other tasks need"]
        gate.admission.run.awaiting = lambda: coming[0]
        waiting = asyncio.create_task(gate.admission.next())
        await asyncio.sleep(0)
        why, gate.clock.time = gate.admission.waiting_for, 2 * IDLE_LIMIT
        coming[0] = ""
        gate.put(0)
        permit = await waiting
        return why, permit and permit.task.position

    assert at_the_gate(story) == ("collecting videos that other tasks need", 0)
