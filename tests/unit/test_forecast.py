"""Expected time by the kinds of tasks, and what tasks need, estimated once for each kind."""

import pytest

from batchrunner.core.forecast import Estimates, GenerationTimes, forecast, longest_chain, wall_time
from batchrunner.core.kinds import Kind
from batchrunner.core.model import Part, Pricing, TaskKey, TaskOutput
from batchrunner.core.request import normalise
from batchrunner.manifest import load_limits

LIMITS = load_limits()
ANT, BEE, CAT, DOG = map(TaskKey, ("ant", "bee", "cat", "dog"))
SHORT, LONG, OTHER = Kind("fast", "720p, 5 s"), Kind("fast", "720p, 15 s"), Kind("pro", "720p, 5 s")
MODEL = "dreamina-seedance-2-0-fast"


def request(**metadata: object) -> dict[str, object]:
    return dict(normalise({"model": MODEL, "prompt": "a", "duration": 5, "metadata": metadata}))


def test_a_kind_takes_the_median_of_its_own_finished_tasks() -> None:
    """Else that of its model, else the table's figure."""
    times = GenerationTimes.measured([(SHORT, 50.0), (SHORT, 60.0), (SHORT, 900.0)], LIMITS)
    assert (times.of(SHORT), times.of(LONG), times.of(OTHER)) == (60.0, 60.0, LIMITS.generation_seconds)


@pytest.mark.parametrize(
    ("numbers", "slots", "seconds"),
    [
        ({SHORT: 6}, 3, 100.0),
        ({SHORT: 7}, 3, 150.0),
        ({SHORT: 3, LONG: 3}, 3, 250.0),
        ({SHORT: 1, LONG: 1}, 10, 200.0),
        ({}, 3, 0.0),
    ],
)
def test_the_time_is_the_sum_over_kinds_divided_by_the_slots(
    numbers: dict[Kind, int], slots: int, seconds: float
) -> None:
    """In whole rounds, and never less than the longest task takes."""
    times = GenerationTimes({SHORT: 50.0, LONG: 200.0}, {}, 100.0)
    assert wall_time(numbers, times, slots) == seconds


def test_tasks_of_a_kind_with_and_without_an_input_video_are_estimated_apart() -> None:
    """Roles have any name, and an input video is charged, too."""
    picture = {"type": "image_url", "role": "first_frame", "image_url": {"url": "https://a/b"}}
    video = {"type": "video_url", "role": "first_frame", "video_url": {"url": "https://a/b"}}
    one, other = request(content=[picture]), request(content=[video])
    alone = [forecast([(each, 2)], Estimates(LIMITS, Pricing())) for each in (one, other)]
    both = forecast([(one, 2), (other, 2)], Estimates(LIMITS, Pricing()))
    assert alone[0].tokens < alone[1].tokens
    assert both.tokens == alone[0].tokens + alone[1].tokens
    assert list(both.kinds.values()) == [4]


def test_tasks_of_a_kind_with_input_videos_of_other_lengths_are_estimated_apart() -> None:
    """A kind says nothing of how long the videos are that its tasks need."""

    def needing(seconds: int) -> dict[str, object]:
        output = TaskOutput(ANT, Part.VIDEO, "task:ant/video", seconds)
        return request(content=[{"type": "video_url", "video_url": {"url": output}}])

    alone = [forecast([(needing(seconds), 1)], Estimates(LIMITS, Pricing())).tokens for seconds in (5, 8)]
    assert alone[0] < alone[1]
    both = forecast([(needing(5), 1), (needing(8), 1)], Estimates(LIMITS, Pricing()))
    assert both.tokens == sum(alone)
    assert len(both.kinds) == 1


def test_money_is_rounded_for_each_task_as_the_ledger_does() -> None:
    """Sums of both can be compared to the millionth."""
    pricing = Pricing("USD", {MODEL: 0.0001})
    one = forecast([(request(), 1)], Estimates(LIMITS, pricing))
    assert forecast([(request(), 1000)], Estimates(LIMITS, pricing)).micros == 1000 * one.micros


def test_a_chain_takes_as_long_as_its_tasks_one_after_the_other():
    """With slots enough, three shots in a row take three generations; what is done already takes no time."""
    needs = {BEE: {ANT}, CAT: {BEE, ANT}, DOG: {ANT}}
    assert longest_chain({}) == 1
    assert longest_chain(needs) == 3
    assert longest_chain(needs, {CAT, DOG}.__contains__) == 1
    times = GenerationTimes({}, {}, 100.0)
    assert wall_time({Kind("fast"): 4}, times, slots=8, longest=3) == 300
    assert wall_time({Kind("fast"): 4}, times, slots=1, longest=3) == 400
