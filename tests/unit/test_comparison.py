"""Whether a video is what was asked for."""

import pytest

from batchrunner.core.comparison import differences
from batchrunner.manifest import load_limits

MODEL = load_limits().common
ASKED = {"duration": 5, "resolution": "720p", "ratio": "16:9"}


def found(asked=ASKED, **changes) -> tuple[str, ...]:
    made = {"duration": 5.042, "width": 1280, "height": 720, "fps": 24.0}
    return differences(asked, **made | changes, model=MODEL)


def test_a_video_as_requested_has_no_difference():
    """A video of the length, size and rate asked for has no warning; 121 pictures are 5 s."""
    assert found() == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"duration": 10.0}, ("5 s", "10 s")),
        ({"duration": 4.4}, ("5 s", "4.4 s")),
        ({"width": 864, "height": 496}, ("1280x720", "864x496")),
        ({"width": 720, "height": 1280}, ("1280x720", "720x1280")),
        ({"fps": 30.0}, ("24", "30")),
    ],
)
def test_each_difference_is_reported_with_both_values(changes, words):
    """Another length, size or rate is one warning, with what was asked and what the file has."""
    (warning,) = found(**changes)
    assert all(word in warning for word in words)


def test_each_of_several_differences_is_a_warning():
    """Length, size and rate are compared one by one."""
    assert len(found(duration=1.0, width=1, height=1, fps=1.0)) == 3


@pytest.mark.parametrize("asked", [{"duration": -1}, {"duration": -1, "ratio": "adaptive"}, {}])
def test_values_left_to_the_model_are_no_difference(asked):
    """An open length or shape can't be wrong."""
    assert found(asked, duration=11.3, width=1112, height=834) == ()


def test_a_length_in_frames_is_compared_in_seconds():
    """121 frames are 5 s at 24 pictures a second."""
    assert found({"frames": 121}) == ()
    assert len(found({"frames": 241})) == 1


@pytest.mark.parametrize("resolution", MODEL.sizes)
def test_every_resolution_and_ratio_has_one_size(resolution):
    """Each resolution and ratio of the table is one size, and any other is a warning."""
    for ratio, (width, height) in MODEL.sizes[resolution].items():
        asked = {"duration": 5, "resolution": resolution, "ratio": ratio}
        assert found(asked, width=width, height=height) == ()
        assert len(found(asked, width=width + 2, height=height)) == 1
