"""What becomes of a generation in flight, as repeated polls show it."""

import asyncio

import pytest

from batchrunner.core.errors import ExitCode
from batchrunner.core.kinds import kind_of
from batchrunner.core.states import TaskState


def poll_fault(do, **conditions):
    return {"on": "poll", "do": do, **conditions}


async def worked(parts):
    """Work to the end; the tasks, what was charged, and what stopped submission."""
    await parts.work()
    return await parts.tasks(), await parts.book.charges(), parts.admission.stop


@pytest.mark.parametrize(
    "fault", ["500", "html_502", "cut", "null_data", "unknown_state", "task_not_exist", "401"]
)
def test_one_or_two_bad_polls_decide_nothing(shop, fault):
    """A task whose first polls go wrong is finished all the same, charged once."""
    tasks, charges, stop = shop(worked, "cat", scenario={"faults": [poll_fault(fault, times=2)]})
    assert (tasks["cat"].state, len(charges), stop) == (TaskState.COLLECTING, 1, None)


@pytest.mark.parametrize("fault", ["401", "403_model"])
def test_a_key_that_is_refused_stops_the_run_and_not_the_task(shop, fault):
    """The key was used up in the night: exit 4, no further POST, and the task stays generating."""
    tasks, charges, stop = shop(worked, "cat", "dog", scenario={"faults": [poll_fault(fault)]}, concurrency=1)
    assert tasks["cat"].state is TaskState.GENERATING
    assert tasks["dog"].state is TaskState.PENDING
    assert len(charges) == 1
    assert stop.exit_code == ExitCode.ACCOUNT


def test_a_task_that_alone_has_vanished_may_be_the_wrong_account(shop):
    """Where no task of ours is visible, `task_not_exist` is the account's fault: exit 4, the task stays."""
    tasks, _, stop = shop(worked, "cat", scenario={"faults": [poll_fault("task_not_exist")]})
    assert tasks["cat"].state is TaskState.GENERATING
    assert stop.exit_code == ExitCode.ACCOUNT


def test_a_task_that_vanished_beside_a_visible_one_is_lost(shop):
    """While another task is visible with this key, the vanished one has failed, and submission goes on."""
    scenario = {"generation_seconds": 600, "faults": [poll_fault("task_not_exist", prompt="cat")]}
    tasks, charges, stop = shop(worked, "cat", "dog", scenario=scenario)
    assert (tasks["cat"].state, tasks["cat"].error_code) == (TaskState.FAILED, "task_not_exist")
    assert tasks["dog"].state is TaskState.COLLECTING
    assert (len(charges), stop) == (2, None)
    assert (tasks["cat"].tokens, tasks["cat"].cost) == (None, None)  # it was charged, and nothing came back


def test_tasks_that_all_vanish_at_once_are_not_lost(shop):
    """Tasks that were visible and vanish together are not lost: it is the gateway or the key; they stay."""
    names = ("cat", "dog", "fox")
    gone = [poll_fault("task_not_exist", prompt=name, nth=list(range(3, 500))) for name in names]
    tasks, _, _ = shop(worked, *names, scenario={"generation_seconds": 100_000, "faults": gone})
    assert {task.state for task in tasks.values()} == {TaskState.GENERATING}


@pytest.mark.parametrize(
    ("fault", "code"),
    [("fail", "InternalServiceError"), ("moderated", "OutputVideoSensitiveContentDetected")],
)
def test_a_failed_generation_is_refunded(shop, fault, code):
    """FAILURE with the model's code: failed, that code, no cost; where it may not be tried again."""
    night = {"faults": [{"on": "generate", "do": fault}]}
    tasks, charges, _ = shop(worked, "cat", scenario=night, max_attempts=1)
    task = tasks["cat"]
    assert (task.state, task.error_code, task.tokens, task.cost) == (TaskState.FAILED, code, 0, 0.0)
    assert task.error_message
    assert [charge["quota"] for charge in charges] == [0]


def test_an_expired_generation_ends_before_the_gateway_says_so(shop):
    """`expired` upstream, seen again and again, ends the task as failed; its money still counts."""
    tasks, charges, _ = shop(worked, "cat", scenario={"faults": [{"on": "generate", "do": "expired"}]})
    task = tasks["cat"]
    assert (task.state, task.error_code) == (TaskState.FAILED, "upstream_expired")
    assert (task.tokens, task.cost) == (None, None)
    assert charges[0]["quota"] > 0  # the hold is not returned yet


def test_a_task_over_its_deadline_gives_its_slot_to_the_next(shop):
    """A generation that takes too long frees its slot, is still polled, and stays paid for."""
    slow = {"on": "generate", "do": "slow", "factor": 1000, "prompt": "slow"}

    async def story(parts):
        tasks, charges, stop = await worked(parts)
        return tasks, charges, stop, parts.admission.slots

    settings = {"concurrency": 1, "task_deadline": 100.0}
    tasks, charges, stop, slots = shop(story, "slow", "cat", scenario={"faults": [slow]}, **settings)
    assert tasks["slow"].state is TaskState.GENERATING
    assert tasks["cat"].state is TaskState.COLLECTING
    assert (len(charges), stop, slots) == (2, None, 0)


def test_a_task_over_its_deadline_is_still_followed(shop):
    """What ends after its deadline, while the run goes on, is collected in this run."""
    slow = {"on": "generate", "do": "slow", "factor": 20, "prompt": "slow"}
    settings = {"concurrency": 1, "task_deadline": 100.0}

    async def story(parts):
        async with asyncio.TaskGroup() as group:
            await parts.put_pending()
            permit = await parts.admission.next()
            await group.create_task(parts.worker.submit(permit))
        return await parts.tasks(), parts.admission.slots

    tasks, slots = shop(story, "slow", scenario={"faults": [slow]}, **settings)
    assert tasks["slow"].state is TaskState.COLLECTING
    assert slots == 0


def test_the_raw_answer_is_kept_while_a_task_goes_on(shop):
    """The newest answer of the gateway is on record before the task has ended."""

    async def story(parts):
        await parts.put_pending()
        permit = await parts.admission.next()
        following = asyncio.create_task(parts.worker.submit(permit))
        while True:
            attempts = await parts.ledger.attempts(permit.task.key)
            if attempts and attempts[0]["last_answer"]:
                break
            await asyncio.sleep(0.001)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        return attempts[0]["last_answer"], await parts.states()

    raw, states = shop(story, "cat", scenario={"generation_seconds": 10_000})
    assert '"task_id"' in raw
    assert states == {"cat": "generating"}


def test_a_task_is_not_polled_at_once_nor_without_end(shop):
    """The first poll comes late and the polls are few: the gateway looks every 15 s itself."""

    async def story(parts):
        await parts.work()
        (charge,) = await parts.book.charges()
        return charge["finished_at"] - charge["at"], await parts.book.polls()

    seconds, polls = shop(story, "cat", scenario={"generation_seconds": 100})
    nominal = seconds / 0.001
    assert 1 <= polls <= nominal / 10 + 2


def test_a_generation_of_an_earlier_run_is_followed_to_its_end(shop):
    """The next run takes up what was accepted, without a POST, and says when its first poll was answered."""

    async def first(parts):
        await parts.put_pending()
        submitting = asyncio.create_task(parts.worker.submit(await parts.admission.next()))
        while (await parts.states())["cat"] != "generating":  # noqa: ASYNC110 what is on disk is asked
            await asyncio.sleep(0.001)
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)

    async def second(parts):
        polled = []
        record = (await parts.tasks())["cat"]
        parts.admission.occupy(record.key, kind_of(record.request))
        await parts.worker.resume(record, lambda: polled.append(parts.admission.slots))
        tasks = await parts.tasks()
        return tasks["cat"], polled, parts.collected, await parts.book.posts(), await parts.book.charges()

    scenario = {"generation_seconds": 200}
    shop(first, "cat", scenario=scenario)
    task, polled, collected, posts, charges = shop(second, "cat", scenario=scenario)
    assert task.state is TaskState.COLLECTING
    assert polled
    assert collected == [task.key]
    assert (posts, len(charges)) == (0, 1)


def test_an_ended_generation_settles_the_balance(shop):
    """Two tasks with money for one hold: the second is sent when the first has settled, and both are made."""
    tasks, charges, stop = shop(worked, "cat", "dog", scenario={"balance": 1_000_000})
    assert {task.state for task in tasks.values()} == {TaskState.COLLECTING}
    assert (len(charges), stop) == (2, None)


def test_a_task_needs_few_polls(shop):
    """Jobs of 90 s, where the gateway looks every 15 s, take at most ten polls each."""
    names = [f"cat {number}" for number in range(30)]

    async def polled(parts):
        await parts.work()
        return await parts.tasks(), await parts.book.polls()

    scenario = {"generation_seconds": 90, "generation_sigma": 0}
    tasks, polls = shop(polled, *names, scenario=scenario, concurrency=5)
    assert {task.state for task in tasks.values()} == {TaskState.COLLECTING}
    assert len(names) <= polls <= 10 * len(names)
