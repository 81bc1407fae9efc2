"""One slot, from the permit to the outcome on disk: charged once or not at all, and never forgotten."""

import asyncio
import hashlib
import json
import sqlite3

import pytest

from batchrunner.core.errors import ExitCode, StorageError
from batchrunner.core.model import MediaFile
from batchrunner.core.plan import WantedTask
from batchrunner.core.states import Event, TaskState
from batchrunner.core.submission.hours import Hours
from tests.harness.plans import wanted_task
from tests.harness.sql_hook import hook_connections, hook_statements

FAST = "dreamina-seedance-2-0-fast"


def submit_fault(do, **conditions):
    return {"faults": [{"on": "submit", "do": do, **conditions}]}


async def worked(shop):
    """Work to the end, and tell what the gateway and the ledger know."""
    await shop.work()
    return await shop.tasks(), await shop.book.charges(), await shop.book.posts()


def test_a_task_is_charged_once_and_handed_to_the_collector(shop):
    """Submitted, followed and finished: one charge, its remote id and price on record, the collector told."""

    async def story(parts):
        tasks, charges, posts = await worked(parts)
        return tasks["cat"], charges, posts, parts.collected

    task, (charge,), posts, collected = shop(story, "cat")
    assert posts == 1
    assert task.state is TaskState.COLLECTING
    assert collected == [task.key]
    assert (task.remote_id, task.request_id) == (charge["remote_id"], charge["request_id"])
    assert (task.seed, task.tokens) == (charge["seed"], charge["tokens"])
    assert (task.cost, task.currency) == (pytest.approx(charge["tokens"] * 5.6 / 1e6, abs=1e-6), "USD")
    assert task.generation_seconds > 0
    assert task.result_url.startswith("http://127.0.0.1")
    assert (charge["duration"], charge["resolution"], charge["prompt"]) == (1, "480p", "cat")
    assert task.warnings == ()


def test_many_tasks_are_charged_once_each_and_never_too_many_at_once(shop):
    """Forty tasks on four slots: forty charges, one a task, and at no moment more than four in flight."""
    names = [f"cat {number}" for number in range(40)]
    tasks, charges, posts = shop(worked, *names, concurrency=4)
    assert posts == len(charges) == 40
    assert sorted(charge["prompt"] for charge in charges) == sorted(names)
    assert {tasks[charge["prompt"]].remote_id for charge in charges} == {
        charge["remote_id"] for charge in charges
    }
    assert len({charge["seed"] for charge in charges}) == 40
    begun = [(charge["at"], 1) for charge in charges] + [(charge["finished_at"], -1) for charge in charges]
    in_flight = most = 0
    for _, change in sorted(begun):
        in_flight += change
        most = max(most, in_flight)
    assert most <= 4


def test_the_seed_on_record_is_the_seed_that_was_sent(shop, want):
    """A user's own seed goes out as it is; one is drawn where none is given."""
    tasks, charges, _ = shop(worked, want("own", seed=7), "drawn")
    sent = {charge["prompt"]: charge["seed"] for charge in charges}
    assert sent["own"] == 7
    assert isinstance(sent["drawn"], int)
    assert {name: task.seed for name, task in tasks.items()} == sent


def test_no_seed_is_drawn_where_the_user_wants_none(shop):
    """With `draw_seed: false` the model chooses."""
    tasks, (charge,), _ = shop(worked, "cat", draw_seed=False)
    assert (charge["seed"], tasks["cat"].seed) == (None, None)


def test_a_seed_that_the_model_did_not_use_is_a_warning(raw_shop):
    """Sent one seed, told another: the row says so, for the video can't be made again with what is in it."""

    async def story(parts):
        await parts.work()
        return (await parts.tasks())["cat"]

    made = answer(200, b'{"code":"success","data":{"status":"SUCCESS","data":{"seed":-7}}}')
    task = raw_shop(story, [answer(200, b'{"id":"task_A"}'), made], "cat")
    assert isinstance(task.seed, int)
    assert len(task.warnings) == 1
    assert "seed" in task.warnings[0]


# --- outcomes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "charged"),
    [
        ("cut_after_accept", 1),
        ("html_502_after_accept", 1),
        ("broken_json_after_accept", 1),
        ("no_id_after_accept", 1),
        ("hang_after_accept", 1),
        ("cut_before_accept", 0),
        ("html_502", 0),
        ("500_html", 0),
        ("redirect", 0),
    ],
)
def test_an_unknown_outcome_is_in_doubt_and_not_sent_again(shop, fault, charged):
    """Charged or not, a submission whose outcome is unknown is one POST, and its task stays in doubt."""
    tasks, charges, posts = shop(worked, "cat", scenario=submit_fault(fault), submit_timeout=0.1)
    assert (tasks["cat"].state, posts, len(charges)) == (TaskState.IN_DOUBT, 1, charged)
    assert tasks["cat"].error_message


@pytest.mark.parametrize("fault", ["429", "429_retry_after", "429_empty", "503_model", "500_refunded"])
def test_a_submission_that_was_not_admitted_is_sent_again(shop, fault):
    """Refused twice for the moment, a task is accepted at the third time, and charged once."""
    tasks, charges, posts = shop(worked, "cat", scenario=submit_fault(fault, times=2))
    assert (tasks["cat"].state, posts, len(charges)) == (TaskState.COLLECTING, 3, 1)
    assert tasks["cat"].attempts == 3


def test_a_submission_taken_back_three_times_needs_a_person(shop):
    """What the gateway refunds for this task alone is sent again twice, and then it has failed: no charge."""
    others = [f"dog {number}" for number in range(8)]
    scenario = submit_fault("500_refunded", prompt="cat")
    tasks, charges, posts = shop(worked, *others, "cat", scenario=scenario, concurrency=1)
    assert tasks["cat"].state is TaskState.FAILED
    assert (tasks["cat"].error_code, tasks["cat"].refused) == ("do_request_failed", 2)
    assert sorted(charge["prompt"] for charge in charges) == others
    assert posts == len(others) + tasks["cat"].attempts


def test_a_rejected_request_is_sent_once(shop):
    """What the model refuses fails with the model's own code, and the other tasks go on."""
    tasks, charges, posts = shop(worked, "ark:inputmod a", "cat")
    assert tasks["ark:inputmod a"].state is TaskState.FAILED
    assert tasks["ark:inputmod a"].error_code == "InputTextSensitiveContentDetected"
    assert (posts, [charge["prompt"] for charge in charges]) == (2, ["cat"])


@pytest.mark.parametrize("fault", ["401", "402", "403_html", "403_quota", "403_token_quota"])
def test_a_refused_account_leaves_the_task_pending(shop, fault):
    """The account is refused: exit 4, nothing charged, and the task waits for the next run."""

    async def story(parts):
        tasks, charges, posts = await worked(parts)
        return tasks["cat"].state, posts, charges, parts.admission.stop.exit_code

    outcome = shop(story, "cat", scenario=submit_fault(fault))
    assert outcome == (TaskState.PENDING, 1, [], ExitCode.ACCOUNT)


# --- pictures -----------------------------------------------------------------------------------------


def with_picture(path, content: bytes) -> WantedTask:
    picture = MediaFile(str(path), path.name, hashlib.sha256(content).hexdigest(), "image/png", len(content))
    return wanted_task(
        {"model": FAST, "prompt": "move", "image": picture, "metadata": {"duration": 1}}, id="move"
    )


def test_a_picture_is_sent_as_it_was_planned(shop, tmp_path):
    """What was hashed is what is sent."""
    path = tmp_path / "cat.png"
    path.write_bytes(b"planned")
    _, (charge,), _ = shop(worked, with_picture(path, b"planned"))
    uri = "data:image/png;base64,cGxhbm5lZA=="
    assert charge["media"][0]["url"] == {
        "sha256": hashlib.sha256(uri.encode()).hexdigest(),
        "length": len(uri),
    }


@pytest.mark.parametrize("content", [b"changed", None], ids=["changed", "gone"])
def test_a_picture_that_changed_is_not_sent(shop, tmp_path, content):
    """A file that is not what was planned makes its task unsendable: no POST, no attempt, no slot kept."""
    path = tmp_path / "cat.png"
    if content:
        path.write_bytes(content)

    async def story(parts):
        tasks, charges, posts = await worked(parts)
        return tasks["move"], charges, posts, parts.admission.slots

    task, charges, posts, slots = shop(story, with_picture(path, b"planned"))
    assert (task.state, task.error_code, task.attempts) == (TaskState.FAILED, "unsendable", 0)
    assert "cat.png" in task.error_message
    assert (charges, posts, slots) == ([], 0, 0)


# --- stopping -----------------------------------------------------------------------------------------


def test_a_stop_before_the_claim_writes_nothing(shop):
    """A permit that is given when the stop comes leaves no attempt and no POST."""

    async def story(parts):
        await parts.put_pending()
        permit = await parts.admission.next()
        parts.admission.run.close()
        await parts.worker.submit(permit)
        attempts = await parts.ledger.attempts(permit.task.key)
        return await parts.states(), attempts, await parts.book.posts(), parts.admission.in_the_air

    assert shop(story, "cat") == ({"cat": "pending"}, [], 0, 0)


@pytest.mark.parametrize("claimed", [False, True])
def test_hours_that_end_after_the_permit_let_no_post_leave(shop, claimed):
    """Before the claim no attempt is made, after it the intent is withdrawn: the task is pending again."""

    async def story(parts):
        def end(event=None):
            if event is None or event.event is Event.CLAIMED:
                parts.clock.wall = lambda: 3e9

        await parts.put_pending()
        permit = await parts.admission.next()
        parts.ledger.observe(end) if claimed else end()
        await parts.worker.submit(permit)
        attempts = await parts.ledger.attempts(permit.task.key)
        return await parts.states(), len(attempts), await parts.book.posts(), parts.admission.slots

    assert shop(story, "cat", hours=Hours(ends_at=3e9)) == ({"cat": "pending"}, int(claimed), 0, 0)


def test_a_stop_between_claim_and_post_releases_the_task(shop):
    """The intent is on disk, the POST has not left: the task is pending again, and nothing is in doubt."""

    async def story(parts):
        def stop(event):
            if event.event is Event.CLAIMED:
                parts.admission.run.close()

        parts.ledger.observe(stop)
        await parts.put_pending()
        await parts.worker.submit(await parts.admission.next())
        (task,) = (await parts.tasks()).values()
        events = [event.event for event in await parts.ledger.events(task.key)]
        return task.state, events, await parts.book.posts(), parts.admission.in_the_air

    assert shop(story, "cat") == (TaskState.PENDING, ["claimed", "released"], 0, 0)


def test_an_answer_that_comes_after_the_stop_is_recorded(shop):
    """A POST in the air when the stop comes is awaited, and its acceptance is written down."""

    async def story(parts):
        await parts.put_pending()
        permit = await parts.admission.next()
        submitting = asyncio.create_task(parts.worker.submit(permit))
        while not await parts.book.posts():  # noqa: ASYNC110 the simulator is asked, it does not tell
            await asyncio.sleep(0.001)
        parts.admission.run.close()
        assert parts.admission.in_the_air == 1
        await submitting
        return await parts.tasks(), await parts.book.charges(), parts.admission.in_the_air

    tasks, (charge,), in_the_air = shop(story, "cat", scenario=submit_fault("slow_accept", seconds=50))
    assert (tasks["cat"].state, tasks["cat"].remote_id) == (TaskState.GENERATING, charge["remote_id"])
    assert in_the_air == 0


def test_a_task_cancelled_in_flight_is_in_doubt(shop):
    """A worker that is cancelled while its POST has no answer leaves the doubt on disk: it was charged."""

    async def story(parts):
        await parts.put_pending()
        submitting = asyncio.create_task(parts.worker.submit(await parts.admission.next()))
        while not await parts.book.charges():  # noqa: ASYNC110 the simulator is asked, it does not tell
            await asyncio.sleep(0.001)
        submitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await submitting
        return await parts.tasks(), await parts.book.charges(), parts.admission.in_the_air

    tasks, charges, in_the_air = shop(story, "cat", scenario=submit_fault("hang_after_accept"))
    assert (tasks["cat"].state, tasks["cat"].error_code) == (TaskState.IN_DOUBT, "stopped")
    assert (len(charges), in_the_air) == (1, 0)


# --- the disk refuses ---------------------------------------------------------------------------------


@pytest.fixture
def commits_fail(monkeypatch):
    """From the call on, no transaction reaches the disk."""
    hook_connections(monkeypatch)

    def failing(_, sql):
        if sql == "COMMIT":
            raise sqlite3.OperationalError("database or disk is full")
        return sql

    return lambda: hook_statements(monkeypatch, failing)


def test_an_acceptance_that_can_not_be_written_is_printed_with_its_id(shop, commits_fail):
    """Accepted and charged, but the disk is full: the error names the remote id and how to adopt it."""

    async def story(parts):
        await parts.put_pending()
        parts.ledger.observe(lambda event: commits_fail())  # after the claim
        with pytest.raises(StorageError) as refused:
            await parts.worker.submit(await parts.admission.next())
        return refused.value, await parts.book.charges(), parts.admission.in_the_air

    error, (charge,), in_the_air = shop(story, "cat")
    assert charge["remote_id"] in str(error)
    assert f" cat --adopt {charge['remote_id']}" in error.hint
    assert in_the_air == 0


def test_a_claim_that_can_not_be_written_sends_nothing(shop, commits_fail):
    """Without the intent on disk no POST leaves, and nobody waits for its answer."""

    async def story(parts):
        await parts.put_pending()
        permit = await parts.admission.next()
        commits_fail()
        with pytest.raises(StorageError):
            await parts.worker.submit(permit)
        return await parts.book.posts(), parts.admission.in_the_air, parts.admission.slots

    assert shop(story, "cat") == (0, 0, 0)


# --- odd answers --------------------------------------------------------------------------------------


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    lines = [
        b"HTTP/1.1 %d Reason" % status,
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


ODD_ID = b"X-Oneapi-Request-Id: \xff\xfe\x80"
DONE = answer(200, b'{"code":"success","data":{"status":"SUCCESS"}}')


@pytest.mark.parametrize(
    ("first", "state"),
    [
        (answer(200, b'{"id":"task_A"}', ODD_ID), TaskState.COLLECTING),
        (answer(400, b'{"code":"no","message":"\\ud800 no","data":null}'), TaskState.FAILED),
        (answer(400, b'{"code":"no\\udfff","message":"no","data":null}', ODD_ID), TaskState.FAILED),
        (answer(500, b'{"error":{"code":"","message":"{\\ud800"}}'), TaskState.IN_DOUBT),
        (answer(502, b"\xff\xfe<html>\x00", ODD_ID), TaskState.IN_DOUBT),
    ],
    ids=["odd id", "odd message", "odd code", "odd refusal", "no text"],
)
def test_an_odd_answer_to_a_post_is_recorded(raw_shop, first, state):
    """Bytes that are no text, in a header or a message, do not keep an outcome from being written down."""

    async def story(parts):
        await parts.work()
        return (await parts.tasks())["cat"].state

    assert raw_shop(story, [first, DONE], "cat") is state


@pytest.mark.parametrize(
    "task",
    [
        {"status": "FAILURE", "fail_reason": "\ud800 no"},
        {"status": "FAILURE", "data": {"error": {"code": "\udfff", "message": "\ud800"}}},
        {"status": "SUCCESS", "data": {"resolution": "\ud800", "content": {"video_url": "https://a/\ud800"}}},
        {"status": "IN_PROGRESS\ud800", "data": {"status": "\ud800"}},
    ],
    ids=["odd reason", "odd code", "odd echo", "odd status"],
)
def test_an_odd_answer_to_a_poll_is_recorded(raw_shop, task):
    """What JSON can hold and a file can't does not stop the run either."""

    async def story(parts):
        await parts.work()
        return (await parts.tasks())["cat"].state

    odd = answer(200, json.dumps({"code": "success", "data": task}).encode())
    state = raw_shop(story, [answer(200, b'{"id":"task_A"}'), odd, DONE], "cat")
    assert state in (TaskState.FAILED, TaskState.COLLECTING)


def test_the_same_remote_id_twice_is_not_two_acceptances(raw_shop):
    """A gateway that gives two tasks one id has one video: the second is in doubt, and the run goes on."""

    async def story(parts):
        await parts.work()
        return sorted((await parts.states()).values())

    accepted = answer(200, b'{"id":"task_A"}')
    states = raw_shop(story, [accepted, accepted, DONE], "cat", "dog", concurrency=2)
    assert states == ["collecting", "in_doubt"]
