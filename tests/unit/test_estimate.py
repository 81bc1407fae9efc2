"""The worst case of a task, against figures that were measured or documented."""

from typing import Any

import pytest

from batchrunner.core.estimate import least_tokens, left_open, price_of, tokens, video_bytes, worst_case
from batchrunner.core.model import Part, Pricing, TaskKey, TaskOutput
from batchrunner.core.needs import with_lengths
from batchrunner.manifest.limits_file import load_limits

LIMITS = load_limits()


def request(**metadata: Any) -> dict[str, Any]:
    """A request with some metadata."""
    return {"model": "dreamina-seedance-2-0", "prompt": "A cat", "metadata": metadata}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"resolution": "720p", "ratio": "16:9", "duration": 5}, 108900),  # the document's own example
        ({"resolution": "480p", "ratio": "16:9", "duration": 4}, 40594),  # measured
        ({"ratio": "16:9"}, 108900),  # 720p and 5 s, if nothing is said
        ({"ratio": "16:9", "duration": -1}, (24 * 15 + 1) * 1280 * 720 // 1024),
        ({"ratio": "16:9", "frames": 121}, 108900),  # 5 s are 121 frames
    ],
)
def test_tokens_are_those_that_are_billed(metadata: dict[str, Any], expected: int) -> None:
    """The formula meets every figure that is known."""
    assert tokens(request(**metadata), LIMITS) == expected


@pytest.mark.parametrize("resolution", ["480p", "720p", "1080p"])
def test_an_open_ratio_counts_as_the_largest(resolution: str) -> None:
    """`adaptive`, and no ratio at all, can't turn out dearer than estimated."""
    each = [
        tokens(request(resolution=resolution, ratio=ratio), LIMITS)
        for ratio in LIMITS.common.sizes[resolution]
    ]
    assert tokens(request(resolution=resolution, ratio="adaptive"), LIMITS) == max(each)
    assert tokens(request(resolution=resolution), LIMITS) == max(each)


def test_what_is_implausible_depends_on_what_is_left_open() -> None:
    """A quarter of the shortest and smallest video that fits the request: below any honest charge."""
    assert least_tokens(request(ratio="16:9", duration=5), LIMITS) == 108900 // 4
    open_length = request(ratio="16:9", duration=-1)
    shortest = tokens(request(ratio="16:9", duration=LIMITS.common.shortest), LIMITS)
    assert least_tokens(open_length, LIMITS) == shortest // 4
    smallest = min(tokens(request(ratio=ratio, duration=5), LIMITS) for ratio in LIMITS.common.sizes["720p"])
    assert least_tokens(request(duration=5), LIMITS) == smallest // 4
    assert worst_case(open_length, LIMITS, Pricing()).least_tokens == shortest // 4


def test_an_input_video_counts_too() -> None:
    """The longest one that is allowed is added to the output."""
    content = [{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}]
    with_video = tokens(request(ratio="16:9", duration=5, content=content), LIMITS)
    assert with_video == tokens(request(ratio="16:9", duration=20), LIMITS)


def test_the_worst_case_has_the_higher_of_two_list_prices() -> None:
    """The list has a lower one for input videos, which gateways may not know; the manifest's counts."""
    content = [{"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}]
    extended = request(resolution="720p", ratio="16:9", duration=5, content=content)
    most = worst_case(extended, LIMITS, Pricing())
    assert most.cost == pytest.approx(most.tokens * 7.0 / 1e6)
    assert price_of(extended, LIMITS, Pricing()) == 4.3
    own = Pricing("EUR", {"dreamina-seedance-2-0": 3.0})
    assert worst_case(extended, LIMITS, own).cost == pytest.approx(most.tokens * 3.0 / 1e6)


def shots(*inputs: Any) -> dict[str, Any]:
    """A request for 5 seconds with these videos among its inputs."""
    return request(
        ratio="16:9",
        duration=5,
        content=[{"type": "video_url", "video_url": {"url": one}} for one in inputs],
    )


def test_another_tasks_video_counts_as_long_as_it_is_to_be() -> None:
    """Up to the next second: it is a picture longer than it says. If one is open, the longest counts."""
    five, open_ = (TaskOutput(TaskKey("1-a"), Part.VIDEO, "task:a/video", seconds) for seconds in (5, 0))
    stored = {"task": "1-a", "part": "video"}

    def seconds(*inputs: Any) -> int:
        """How long a video without inputs would be that costs the same."""
        counted = tokens(shots(*inputs), LIMITS)
        return next(n for n in range(40) if tokens(request(ratio="16:9", duration=n), LIMITS) == counted)

    assert seconds(five) == 5 + 6
    assert seconds(five, five) == 5 + 6 + 6
    assert seconds(five, five, five) == 5 + 6 + 6 + 6, "more than the model should take: it may all the same"
    assert seconds(open_) == seconds(five, open_) == seconds(five, "https://example.com/a.mp4") == 5 + 15
    assert seconds(stored) == 5 + 15
    assert seconds({**stored, "seconds": 5}) == 5 + 6
    assert with_lengths(shots(stored), {TaskKey("1-a"): 5}) == shots({**stored, "seconds": 5})
    assert with_lengths(shots(stored), {TaskKey("1-b"): 5}) == shots(stored)


def test_a_known_length_of_input_video_is_not_called_open() -> None:
    """It is still an upper bound: no bill was seen that says how it is rounded."""
    five, open_ = (TaskOutput(TaskKey("1-a"), Part.VIDEO, "task:a/video", seconds) for seconds in (5, 0))
    assert left_open(shots(), LIMITS) == []
    assert left_open(shots(five), LIMITS) == ["how input videos are counted"]
    assert left_open(shots(five, open_), LIMITS) == ["the length of input videos"]


def test_a_larger_video_needs_more_disk() -> None:
    """The bound grows with length and resolution, and stays in the range of real files."""
    small = video_bytes(request(resolution="480p", duration=4), LIMITS)
    large = video_bytes(request(resolution="1080p", duration=-1), LIMITS)
    assert 3_000_000 < small < large < 100_000_000
