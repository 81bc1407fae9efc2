"""What polls show of a task while it lives."""

import asyncio
import math
from typing import Any

import pytest

from batchrunner.simulator.life import Ending, Life, Pace, visible_phases

PACE = Pace(refresh=15, line=1, timeout=86_400, link=86_400)


def statuses(life: Life) -> list[tuple[float, str, str]]:
    return [(phase.at, phase.status, phase.progress) for phase in visible_phases(life, PACE)]


def test_news_come_only_with_the_refresh_loop() -> None:
    """What happens upstream is shown at the next full round, not when it happens."""
    life = Life(created_at=31, running_at=50, ended_at=100, ending=Ending.SUCCEEDED, line=0)
    assert statuses(life) == [
        (31, "NOT_START", "0%"),
        (45, "QUEUED", "10%"),
        (60, "IN_PROGRESS", "50%"),
        (105, "SUCCESS", "100%"),
    ]


def test_a_short_task_is_never_seen_running() -> None:
    """A task that ends between two rounds goes straight to its end."""
    life = Life(created_at=31, running_at=32, ended_at=44, ending=Ending.FAILED, line=0)
    assert statuses(life) == [(31, "NOT_START", "0%"), (45, "FAILURE", "100%")]


def test_a_line_makes_the_rounds_longer() -> None:
    """With others in line a task is seen one second a place later, and in longer rounds."""
    life = Life(created_at=31, running_at=31, ended_at=100, ending=Ending.SUCCEEDED, line=5)
    assert [at for at, _, _ in statuses(life)] == [31, 45, 105]


def test_an_expired_task_stays_in_progress_until_the_gateway_gives_it_up() -> None:
    """Upstream's `expired` is shown as 30% for a day, then as a failure."""
    life = Life(created_at=0, running_at=3, ended_at=100, ending=Ending.EXPIRED, line=0)
    assert statuses(life)[1:] == [
        (0, "QUEUED", "10%"),
        (15, "IN_PROGRESS", "50%"),
        (105, "IN_PROGRESS", "30%"),
        (86_400, "FAILURE", "100%"),
    ]


@pytest.mark.parametrize("ending", list(Ending))
def test_every_life_comes_to_an_end(ending: Ending) -> None:
    """The last phase of every life is a final one, and no other is."""
    phases = visible_phases(Life(1.1, 4.7, 77.7, ending, 3), Pace(0.3, 0.1, 500, 500))
    assert [phase.final for phase in phases] == [False] * (len(phases) - 1) + [True]


def test_rounding_never_loses_an_end() -> None:
    """An end a hair after a round is seen by the next round, and not by that one."""
    pace = Pace(refresh=0.05, line=0, timeout=500, link=500)
    for number in range(35_900_000_000, 35_900_000_500):  # rounds of our days
        ended = math.nextafter(number * pace.refresh, math.inf)
        last = visible_phases(Life(ended - 0.1, ended - 0.09, ended, Ending.SUCCEEDED, 0), pace)[-1]
        assert last.status == "SUCCESS"
        assert ended <= last.at <= ended + 0.051


def test_a_task_lives_as_recorded(night: Any) -> None:
    """NOT_START with the bare upstream id, QUEUED, IN_PROGRESS, SUCCESS: fields and amounts as recorded."""

    async def story(gateway: Any) -> list[Any]:
        await gateway.new_round()
        remote_id = await gateway.accepted(metadata={"resolution": "480p", "duration": 4, "seed": 7})
        seen = [await gateway.poll(remote_id)]
        while seen[-1]["status"] != "SUCCESS":
            await asyncio.sleep(0.001)
            if (task := await gateway.poll(remote_id)) != seen[-1]:
                seen.append(task)
        return seen

    first, queued, running, last = night(story, scale=0.01, queue_seconds=20, generation_seconds=30)
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
        return await gateway.ended(await gateway.accepted())

    task = night(story, scale=0.000_002, faults=[{"on": "generate", "do": "timeout_24h"}])
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

    lives = night(story, capacity=1, scale=0.01)
    assert [life["running_at"] for life in lives[1:]] == [life["ended_at"] for life in lives[:-1]]
    assert [life["line"] for life in lives] == [0, 1, 2]


def test_the_openai_route_shows_the_same_task(night: Any) -> None:
    """GET /v1/videos/{id} says unknown for NOT_START, and completed with the URL at the end."""

    async def story(gateway: Any) -> Any:
        await gateway.new_round()
        remote_id = await gateway.accepted()
        first = (await gateway.call("GET", f"/v1/videos/{remote_id}")).json
        task = await gateway.ended(remote_id)
        return first, (await gateway.call("GET", f"/v1/videos/{remote_id}")).json, task

    first, last, task = night(story, scale=0.01)
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
        await gateway.new_round()
        remote_id = await gateway.accepted()
        early = (await gateway.charges())[0]
        task = await gateway.ended(remote_id)
        return early, (await gateway.charges())[0], task

    early, late, task = night(story, scale=0.01)
    assert (early["outcome"], early["finished_at"]) == ("in_progress", None)
    assert (late["outcome"], int(late["finished_at"])) == ("succeeded", task["finish_time"])
