"""What simulated videos show: whose they are, and the time. The files are decoded as any player would."""

import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import av
import pytest

from batchrunner.simulator import captions
from batchrunner.simulator.captions import Caption, ClockFace, clock_time
from batchrunner.simulator.painting import Picture
from batchrunner.simulator.videos import Videos

ANT = Caption("task_jEctEHDF1vefS2L3HND2JnzXPslnAYbI", "A paper boat drifts down a rain-filled street")
FULL = Caption("task_" + "W" * 60, "W@#一" * 60)
GAP = 32
"""Black rows between label and clock."""
SMALL = Picture(320, 256, 300, 2)


@pytest.fixture
def videos(tmp_path: Path) -> Iterator[Videos]:
    """Videos in a folder of their own."""
    made = Videos(tmp_path / "pictures")
    yield made
    made.close()


def body_of(videos: Videos, picture: Picture, caption: Caption) -> bytes:
    """A task's video."""
    return videos._body(picture, caption, None)


def rows_of(frame: av.VideoFrame) -> list[bytes]:
    """The luma of a frame, row by row."""
    plane = frame.planes[0]
    whole = bytes(plane)
    return [whole[at : at + frame.width] for at in range(0, frame.height * plane.line_size, plane.line_size)]


def decoded(body: bytes) -> list[list[bytes]]:
    """The rows of all frames of a video."""
    with av.open(io.BytesIO(body)) as container:
        return [rows_of(frame) for frame in container.decode(video=0)]


def difference(some: list[bytes], other: list[bytes]) -> float:
    """How much two pictures differ, on average, of 255."""
    pairs = list(zip(b"".join(some), b"".join(other), strict=True))
    return sum(abs(one - another) for one, another in pairs) / len(pairs)


def label_of(picture: Picture, caption: Caption) -> list[bytes]:
    """A label as it is drawn."""
    drawn = captions.label(caption, picture.width, picture.width, picture.label_height - 4)
    return [drawn[at : at + picture.width] for at in range(0, len(drawn), picture.width)]


def test_each_frame_shows_whose_video_it_is(videos: Videos) -> None:
    """The label is the task's own, from the first frame of a long video to the last."""
    frames = decoded(body_of(videos, SMALL, ANT))
    labels = [rows[: SMALL.label_height - 4] for rows in frames]
    assert len(frames) == SMALL.frames
    assert all(label == labels[0] for label in labels)
    assert difference(labels[0], label_of(SMALL, ANT)) < 5
    assert difference(labels[0], label_of(SMALL, Caption(ANT.remote_id[::-1], ANT.prompt))) > 10
    assert difference(labels[0], label_of(SMALL, Caption(ANT.remote_id, "another prompt"))) > 10


@pytest.mark.parametrize(
    "picture",
    [
        *(Picture(864, 496, 49, variant) for variant in (0, 1, 5)),
        Picture(1470, 630, 25, 1),
        Picture(496, 864, 25, 4),
    ],
    ids=lambda picture: f"{picture.width}x{picture.height}-{picture.variant}",
)
def test_a_label_changes_nothing_else_in_the_picture(videos: Videos, picture: Picture) -> None:
    """The video is encoded without its label: what is below must not have been copied out of it."""
    empty = decoded(body_of(videos, picture, Caption("", "")))
    full = decoded(body_of(videos, picture, FULL))
    end = picture.label_height
    assert len(empty) == len(full) == picture.frames
    assert all(one[:end] != other[:end] for one, other in zip(empty, full, strict=True))
    assert all(one[end:] == other[end:] for one, other in zip(empty, full, strict=True))


def test_the_clock_moves_with_every_frame(videos: Videos) -> None:
    """No two frames show the same time, and each shows its own."""
    picture = Picture(864, 496, 49, 0)
    begin = picture.label_height + GAP
    clock = ClockFace(picture.width, picture.width, picture.label_height, picture.frames)
    seen = [rows[begin : begin + picture.label_height] for rows in decoded(body_of(videos, picture, ANT))]
    assert all(one != other for one, other in pairwise(seen))
    for number in (0, 24, 48):
        drawn = clock.rows(number)
        expected = [drawn[at : at + picture.width] for at in range(0, len(drawn), picture.width)]
        assert difference(seen[number], expected) < 5
        assert difference(seen[(number + 12) % 49], expected) > 5


def test_clock_times() -> None:
    """Minutes, seconds and tenths; a tenth begins with the frame that reaches it."""
    shown = [clock_time(number) for number in (0, 1, 2, 3, 24, 77, 1439, 1440, 24 * 3600)]
    assert shown == [
        *("00:00.0", "00:00.0", "00:00.0", "00:00.1", "00:01.0", "00:03.2"),
        *("00:59.9", "01:00.0", "60:00.0"),
    ]


def test_a_task_has_the_same_file_in_every_simulator(tmp_path: Path) -> None:
    """Nothing but the task decides what its video is."""
    made = []
    for name in ("one", "two"):
        videos = Videos(tmp_path / name)
        made.append(body_of(videos, SMALL, ANT))
        videos.close()
    assert made[0] == made[1]


def test_no_font_need_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fonts for Chinese the label is drawn all the same, and the remote ID is as before."""
    with_fonts = label_of(SMALL, Caption(ANT.remote_id, "一只猫"))
    monkeypatch.setattr(captions, "_INSTALLED", ())
    captions._font.cache_clear()
    captions._glyph.cache_clear()
    try:
        without = label_of(SMALL, Caption(ANT.remote_id, "一只猫"))
    finally:
        captions._font.cache_clear()
        captions._glyph.cache_clear()
    half = len(with_fonts) // 2
    assert without[half + 4 :] == with_fonts[half + 4 :]
    assert max(b"".join(without[:half])) == captions.WHITE


@pytest.mark.parametrize("prompt", ["", "\n\t", "\ud800\x00", "🎬" * 300, "W" * 100_000])
def test_any_prompt_can_be_shown(videos: Videos, prompt: str) -> None:
    """What a request may hold never keeps a video from being made."""
    assert len(decoded(body_of(videos, Picture(320, 256, 2, 0), Caption(ANT.remote_id, prompt)))) == 2
