"""What polls show of a task while it lives."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.simulator.life import Ending, Life, Pace, Seen
from batchrunner.simulator.loop import RefreshLoop

PACE = Pace(refresh=15, line=1, timeout=86_400, link=86_400)
ALONE = replace(PACE, line=0)


def life(created_at: float, running_at: float, ended_at: float, ending: Ending = Ending.SUCCEEDED) -> Life:
    return Life(created_at, running_at, ended_at, ending)


def seen(*lives: Life, pace: Pace = ALONE, until: float = 1e6) -> list[list[tuple[float, str, str]]]:
    """All that the gateway shows of each life, its loop having begun at 0."""
    loop, tasks = RefreshLoop(0, pace), [Seen(one, pace) for one in lives]
    for task in tasks:
        loop.add(task)
    loop.advance(until)
    return [[(phase.at, phase.status, phase.progress) for phase in task.phases] for task in tasks]


def test_news_come_only_with_the_refresh_loop() -> None:
    """What happens upstream is shown at the next full round, not when it happens."""
    assert seen(life(31, 50, 100)) == [
        [
            (31, "NOT_START", "0%"),
            (45, "QUEUED", "10%"),
            (60, "IN_PROGRESS", "50%"),
            (105, "SUCCESS", "100%"),
        ]
    ]


def test_a_short_task_is_never_seen_running() -> None:
    """A task that ends between two rounds goes straight to its end."""
    assert seen(life(31, 32, 44, Ending.FAILED)) == [[(31, "NOT_START", "0%"), (45, "FAILURE", "100%")]]


def test_a_round_takes_a_second_for_each_task_in_line() -> None:
    """As recorded: with 15 tasks a round takes 30 s, and each is seen a second after the one before."""
    shown = seen(*(life(10, 10, 40) for _ in range(15)), pace=PACE)
    assert [[at for at, _, _ in phases] for phases in shown] == [
        [10, 15 + place, 45 + place] for place in range(15)
    ]


def test_who_comes_during_a_round_waits_for_the_next_one() -> None:
    """A round asks after the tasks that were there when it began."""
    first, late = seen(life(10, 10, 11), life(15.5, 15.5, 16), pace=PACE)
    assert (first[-1][0], late[-1][0]) == (15, 31)


def test_an_expired_task_stays_in_progress_until_the_gateway_gives_it_up() -> None:
    """Upstream's `expired` or `cancelled` is shown as 30% for a day, then as a failure."""
    for ending in (Ending.EXPIRED, Ending.CANCELLED):
        assert seen(life(1, 4, 100, ending))[0][1:] == [
            (15, "IN_PROGRESS", "50%"),
            (105, "IN_PROGRESS", "30%"),
            (86_415, "FAILURE", "100%"),
        ]


def test_progress_may_go_backwards() -> None:
    """An error of the upstream's in the middle is shown as 30%, and the next round finds the task again."""
    assert seen(replace(life(1, 4, 100), flicker=True))[0][1:] == [
        (15, "IN_PROGRESS", "50%"),
        (30, "IN_PROGRESS", "30%"),
        (45, "IN_PROGRESS", "50%"),
        (105, "SUCCESS", "100%"),
    ]


@pytest.mark.parametrize("ending", list(Ending))
def test_every_life_comes_to_an_end(ending: Ending) -> None:
    """The last phase of every life is a final one, and no other is."""
    pace = Pace(0.3, 0.1, 500, 500)
    task = Seen(life(1.1, 4.7, 77.7, ending), pace)
    loop = RefreshLoop(0, pace)
    loop.add(task)
    loop.advance(1000)
    assert [phase.final for phase in task.phases] == [False] * (len(task.phases) - 1) + [True]


@given(
    st.lists(st.tuples(st.floats(0, 500), st.floats(0, 50), st.floats(0, 100)), max_size=8),
    st.lists(st.floats(0, 900), max_size=30),
    st.sampled_from((0.0, 1.0, 0.7)),
)
def test_a_loop_that_is_asked_often_sees_what_one_sees_at_once(
    drawn: list[tuple[float, float, float]], asked_at: list[float], pause: float
) -> None:
    """However often it catches up, and with idle hours skipped: so a restart finds everything as it was."""
    pace = replace(PACE, line=pause, timeout=300)
    lives = [life(at, at + queued, at + queued + takes) for at, queued, takes in sorted(drawn)]
    often, tasks = RefreshLoop(0, pace), [Seen(one, pace) for one in lives]
    coming = list(zip(lives, tasks, strict=True))
    for moment in sorted([*asked_at, *(one.created_at for one in lives)]):
        often.advance(moment)
        while coming and coming[0][0].created_at <= moment:
            often.add(coming.pop(0)[1])
    often.advance(2000)
    assert [[(phase.at, phase.status, phase.progress) for phase in task.phases] for task in tasks] == seen(
        *lives, pace=pace, until=2000
    )


def test_an_idle_night_costs_nothing() -> None:
    """A simulator that was left alone for years answers at once."""
    begun = time.monotonic()
    assert seen(life(1e9, 1e9, 1e9), pace=Pace(0.001, 0, 1, 1), until=1e9 + 1)[0][-1][1] == "SUCCESS"
    assert time.monotonic() - begun < 1


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
