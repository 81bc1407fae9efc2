"""What polls show of a task while it lives."""

from typing import Any

import pytest


def test_a_task_lives_as_recorded(night: Any) -> None:
    """NOT_START with the bare upstream id, QUEUED, IN_PROGRESS, SUCCESS: fields and amounts as recorded."""

    async def story(gateway: Any) -> list[Any]:
        remote_id = await gateway.accepted(metadata={"resolution": "480p", "duration": 4, "seed": 7})
        seen = [await gateway.poll(remote_id)]
        while seen[-1]["status"] != "SUCCESS":
            gateway.clock.later(1)
            if (task := await gateway.poll(remote_id)) != seen[-1]:
                seen.append(task)
        return seen

    first, queued, running, last = night(story, queue_seconds=20, generation_seconds=30)
    assert (first["status"], first["progress"], list(first["data"])) == ("NOT_START", "0%", ["id"])
    assert "result_url" not in first
    assert (queued["status"], queued["progress"], queued["data"]["status"]) == ("QUEUED", "10%", "queued")
    assert (running["status"], running["progress"], running["data"]["status"]) == (
        "IN_PROGRESS",
        "50%",
        "running",
    )
    assert running["start_time"] > 0
    assert {task["quota"] for task in (first, queued, running)} == {700_000}
    assert (last["progress"], last["quota"], last["finish_time"]) == ("100%", 113_663, last["updated_at"])
    assert last["data"]["usage"] == {"completion_tokens": 40_594, "total_tokens": 40_594}
    assert (last["data"]["duration"], last["data"]["seed"]) == (4, 7)
    assert last["result_url"] == last["data"]["content"]["video_url"]
    assert last["properties"]["upstream_model_name"] == "dreamina-seedance-2-0-fast-260128"


def test_an_older_gateway_shows_the_link_in_fail_reason_alone(night: Any) -> None:
    """With `link_in_fail_reason` a finished task has its link there, and nowhere else."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(metadata={"resolution": "480p", "duration": 4})
        while (task := await gateway.poll(remote_id))["status"] != "SUCCESS":
            assert task["fail_reason"] == ""
            gateway.clock.later(1)
        return task

    task = night(story, link_in_fail_reason=True)
    assert task["fail_reason"].startswith("http")
    assert "result_url" not in task
    assert "video_url" not in task["data"]["content"]


@pytest.mark.parametrize(
    ("prompt", "faults", "code"),
    [
        ("ark:fail", [], "InternalServiceError"),
        ("ark:moderated a cat", [], "OutputVideoSensitiveContentDetected"),
        ("a cat", [{"on": "generate", "do": "fail"}], "InternalServiceError"),
        ("a cat", [{"on": "generate", "do": "moderated"}], "OutputVideoSensitiveContentDetected"),
    ],
)
def test_a_failed_task_shows_its_reason_in_the_place_of_the_url(
    night: Any, prompt: str, faults: list[Any], code: str
) -> None:
    """FAILURE has no cost, its code in the upstream's body, and a text as result_url."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(prompt)
        task = await gateway.ended(remote_id)
        openai = await gateway.call("GET", f"/v1/videos/{remote_id}")
        return task, openai.json, await gateway.content(remote_id), (await gateway.charges())[0]

    task, openai, content, charge = night(story, faults=faults)
    assert (task["status"], task["quota"]) == ("FAILURE", 0)
    assert task["result_url"] == task["fail_reason"] == task["data"]["error"]["message"]
    assert task["data"]["error"]["code"] == openai["error"]["code"] == code
    assert (openai["status"], openai["metadata"]) == ("failed", {"url": ""})
    assert (content.status, content.json["error"]["message"]) == (
        400,
        "Task is not completed yet, current status: FAILURE",
    )
    assert (charge["outcome"], charge["quota"]) == ("failed", 0)


@pytest.mark.parametrize(
    ("prompt", "faults"), [("ark:expired", []), ("x", [{"on": "generate", "do": "expired"}])]
)
def test_expired_is_in_progress_at_30_percent(night: Any, prompt: str, faults: list[Any]) -> None:
    """The gateway does not know the upstream's `expired`, and shows it as in progress."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(prompt)
        return await gateway.until(remote_id, lambda task: task["progress"] == "30%")

    task = night(story, faults=faults)
    assert (task["status"], task["data"]["status"], task["quota"]) == ("IN_PROGRESS", "expired", 700_000)


def test_a_stuck_task_is_given_up_after_a_day(night: Any) -> None:
    """The gateway's own timeout is a FAILURE whose upstream body still says running."""

    async def story(gateway: Any) -> Any:
        return await gateway.ended(await gateway.accepted(), every=3600)

    task = night(story, faults=[{"on": "generate", "do": "timeout_24h"}])
    assert task["fail_reason"] == "任务超时（1440分钟）"
    assert (task["status"], task["data"]["status"], task["quota"]) == ("FAILURE", "running", 0)


def test_slow_makes_a_generation_longer(night: Any) -> None:
    """`slow` multiplies the time from running to ended."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted("slow one")
        await gateway.accepted("a cat")
        return [charge["life"] for charge in await gateway.charges()]

    rule = {"on": "generate", "do": "slow", "factor": 3, "prompt": "slow*"}
    lives = night(story, faults=[rule], generation_sigma=0)
    assert [round((life["ended_at"] - life["running_at"]) / 0.001) for life in lives] == [60, 20]


def test_capacity_keeps_the_others_queued(night: Any) -> None:
    """With one slot upstream, each task starts when the one before it has ended."""

    async def story(gateway: Any) -> Any:
        for _ in range(3):
            await gateway.accepted()
        return [charge["life"] for charge in await gateway.charges()]

    lives = night(story, capacity=1)
    assert [life["running_at"] for life in lives[1:]] == [life["ended_at"] for life in lives[:-1]]


def test_the_openai_route_shows_the_same_task(night: Any) -> None:
    """GET /v1/videos/{id} says unknown for NOT_START, and completed with the URL at the end."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        first = (await gateway.call("GET", f"/v1/videos/{remote_id}")).json
        task = await gateway.ended(remote_id)
        return first, (await gateway.call("GET", f"/v1/videos/{remote_id}")).json, task

    first, last, task = night(story)
    assert (first["status"], first["progress"], first["metadata"]) == ("unknown", 0, {"url": ""})
    assert (last["status"], last["progress"], last["metadata"]["url"]) == (
        "completed",
        100,
        task["result_url"],
    )
    assert last["completed_at"] == task["finish_time"]


def test_the_charge_book_tells_the_outcome_when_it_is_visible(night: Any) -> None:
    """A charge is in progress, without a finish time, until the gateway shows the end."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        early = (await gateway.charges())[0]
        task = await gateway.ended(remote_id)
        return early, (await gateway.charges())[0], task

    early, late, task = night(story)
    assert (early["outcome"], early["finished_at"]) == ("in_progress", None)
    assert (late["outcome"], int(late["finished_at"])) == ("succeeded", task["finish_time"])


def test_the_upstream_answers_the_gateway_with_an_error_once(night: Any) -> None:
    """50%, then 30% with the error in the place of the task, then 50% again."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        seen = [await gateway.poll(remote_id)]
        gateway.clock.later(1)
        while seen[-1]["status"] != "SUCCESS":
            gateway.clock.later(15)
            seen.append(await gateway.poll(remote_id))
        return seen

    tasks = night(story, generation_seconds=70, faults=[{"on": "refresh", "do": "error"}])
    assert [task["progress"] for task in tasks] == ["0%", "50%", "30%", "50%", "50%", "100%"]
    assert [task["data"].get("status") for task in tasks][1:4] == ["running", None, "running"]
    assert tasks[2]["data"]["error"]["code"] == "InternalServiceError"
    assert (tasks[2]["status"], tasks[2]["start_time"]) == ("IN_PROGRESS", tasks[1]["start_time"])


def test_a_cancelled_task_looks_like_an_expired_one(night: Any) -> None:
    """`word` says what the upstream calls it."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        return await gateway.until(remote_id, lambda task: task["progress"] == "30%")

    task = night(story, faults=[{"on": "generate", "do": "expired", "word": "cancelled"}])
    assert (task["status"], task["data"]["status"]) == ("IN_PROGRESS", "cancelled")


def test_a_lost_channel_is_a_failure_that_nobody_refunds(night: Any) -> None:
    """FAILURE beside the old state, the hold kept, and no row of a refund."""

    async def story(gateway: Any) -> Any:
        task = await gateway.ended(await gateway.accepted())
        return task, (await gateway.call("GET", "/api/log/token")).json["data"]

    task, rows = night(story, faults=[{"on": "refresh", "do": "channel_lost"}])
    assert (task["status"], task["data"]["status"], task["quota"]) == ("FAILURE", "running", 700_000)
    assert task["result_url"] == task["fail_reason"] == "Failed to get channel info, channel ID: 1"
    assert [row["type"] for row in rows] == [2]


def test_a_task_given_up_before_any_poll_shows_only_its_id(night: Any) -> None:
    """A task that was never asked for again keeps the bare id of the upstream's first answer."""

    async def story(gateway: Any) -> Any:
        return await gateway.ended(await gateway.accepted())

    rule = {"on": "refresh", "do": "channel_lost"}
    task = night(story, generation_seconds=1, queue_seconds=0, faults=[rule])
    assert (task["status"], list(task["data"])) == ("FAILURE", ["id"])
