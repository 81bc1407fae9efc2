"""What the model behind the gateway can do at a time, and how long it takes."""

from typing import Any

import pytest

from batchrunner.simulator import Scenario

FAST, WHOLE = "dreamina-seedance-2-0-fast", "dreamina-seedance-2-0"
SATURATED = {"code": "fail_to_fetch_task", "message": "当前分组上游负载已饱和，请稍后再试", "data": None}


def test_submissions_per_minute_are_limited(night: Any) -> None:
    """The next of the same model is 429 until a minute has gone by; a restart forgets nothing."""

    async def story(gateway: Any) -> Any:
        replies = [await gateway.submit() for _ in range(3)]
        other = await gateway.submit(model=WHOLE)
        return [reply.status for reply in replies], replies[-1].json, other.status

    async def later(gateway: Any) -> Any:
        early = await gateway.submit()
        gateway.clock.later(61)
        return early.status, (await gateway.submit()).status, len(await gateway.charges())

    assert night(story, submits_per_minute=2) == ([200, 200, 429], SATURATED, 200)
    assert night(later, submits_per_minute=2) == (429, 200, 4)


def test_the_queue_is_limited(night: Any) -> None:
    """With the one slot taken and two tasks waiting the next is 429, until a slot is free again."""

    async def story(gateway: Any) -> Any:
        first = await gateway.accepted()
        gateway.clock.later(4)
        statuses = [(await gateway.submit()).status for _ in range(3)]
        await gateway.ended(first)
        return statuses, (await gateway.submit()).status

    assert night(story, capacity=1, queue_limit=2) == ([200, 200, 429], 200)


KINDS = [
    {"model": "*-fast", "resolution": "480p", "seconds": 10, "sigma": 0},
    {"duration": [10, 15], "seconds": 300, "sigma": 0},
    {"resolution": "1080p", "seconds": 200},
]


@pytest.mark.parametrize(
    ("model", "resolution", "duration", "median"),
    [
        (FAST, "480p", 12, 10),
        (WHOLE, "480p", 12, 300),
        (WHOLE, "1080p", 10, 300),
        (WHOLE, "1080p", 5, 200),
        (WHOLE, "720p", 5, 100),
    ],
)
def test_each_kind_takes_its_own_time(model: str, resolution: str, duration: float, median: float) -> None:
    """The first kind that fits gives the median; times spread around it as it or the scenario says."""
    scenario = Scenario.from_dict({"kinds": KINDS})
    ids = [scenario.remote_id(number) for number in range(1, 200)]
    times = sorted(scenario.generating(remote_id, model, resolution, duration) for remote_id in ids)
    assert times[len(times) // 2] == pytest.approx(median, rel=0.05)
    assert (times[0] == times[-1]) is (median in (10, 300))


def test_a_length_in_frames_is_a_length(night: Any) -> None:
    """Frames count as the seconds that they last."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted(metadata={"resolution": "480p", "frames": 241})
        await gateway.accepted(metadata={"resolution": "480p", "frames": 97})
        return [charge["life"] for charge in await gateway.charges()]

    kinds = [{"duration": [10, 15], "seconds": 60, "sigma": 0}]
    lives = night(story, kinds=kinds)
    assert [round((life["ended_at"] - life["running_at"]) / 0.001) for life in lives] == [60, 20]


@pytest.mark.parametrize(
    ("capacity", "starts"),
    [
        ([[0, 2], [50, 1], [450, 3]], [0, 0, 100, 200, 300, 400, 450, 450]),
        ([[0, 1], [150, 3]], [0, 100, 150, 150, 200, 250, 250, 300]),
    ],
)
def test_the_capacity_changes_over_time(night: Any, capacity: Any, starts: list[int]) -> None:
    """A higher number starts what is queued; a lower one ends nothing that runs."""

    async def story(gateway: Any) -> Any:
        for _ in starts:
            await gateway.accepted()
        lives = [charge["life"] for charge in await gateway.charges()]
        return [round((life["running_at"] - lives[0]["running_at"]) / 0.001) for life in lives]

    settings = {"generation_seconds": 100, "generation_sigma": 0, "queue_seconds": 0}
    assert night(story, capacity=capacity, **settings) == starts


@pytest.mark.parametrize("steps", [[[5, 1], [5, 2]], [[0, 1], [9, 2], [4, 3]]])
def test_times_of_a_changing_capacity_ascend(steps: list[list[int]]) -> None:
    """A schema has no words for that."""
    with pytest.raises(ValueError, match="times must ascend"):
        Scenario.from_dict({"capacity": steps})
