"""The worst case of a task, against figures that were measured or documented."""

from typing import Any

import pytest

from batchrunner.core.estimate import least_tokens, tokens, video_bytes, worst_case
from batchrunner.core.model import Pricing
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


def test_a_larger_video_needs_more_disk() -> None:
    """The bound grows with length and resolution, and stays in the range of real files."""
    small = video_bytes(request(resolution="480p", duration=4), LIMITS)
    large = video_bytes(request(resolution="1080p", duration=-1), LIMITS)
    assert 3_000_000 < small < large < 100_000_000
