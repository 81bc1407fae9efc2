"""The three frames of a video: exactly the first, the middle and the last one."""

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from batchrunner.media.probe import NotPlayable
from batchrunner.media.stills import HEIGHT, stills


def film(
    path: Path, frames: int, size: tuple[int, int] = (320, 180), distance: int = 250, bframes: int = 0
) -> None:
    """A video whose frames grow from black to white, with a key frame at each `distance`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"g": str(distance), "bf": str(bframes)})
        stream.width, stream.height = size
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 24)
        for number in range(frames):
            grey = round(255 * number / max(1, frames - 1))
            container.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", size, (grey,) * 3))))
        container.mux(stream.encode())


@pytest.mark.parametrize("distance", [250, 12, 1])
@pytest.mark.parametrize("bframes", [0, 3])
def test_first_middle_and_last_frame(tmp_path, distance, bframes):
    """Wherever the key frames are, the pictures are those of the beginning, the middle and the end."""
    film(tmp_path / "a.mp4", 97, distance=distance, bframes=bframes)
    with Image.open(io.BytesIO(stills(tmp_path / "a.mp4"))) as strip:
        assert strip.format == "JPEG"
        assert strip.size == (3 * 320, HEIGHT)
        greys = [strip.convert("L").getpixel((160 + 320 * index, 90)) for index in range(3)]
    assert greys == pytest.approx([0, 127, 255], abs=6)


@pytest.mark.parametrize(("size", "width", "height"), [((496, 864), 184, 320), ((640, 640), 180, 180)])
def test_upright_and_square_videos_keep_their_shape(tmp_path, size, width, height):
    film(tmp_path / "a.mp4", 5, size)
    with Image.open(io.BytesIO(stills(tmp_path / "a.mp4"))) as strip:
        assert strip.size == (3 * width, height)


def test_single_frame_is_shown_three_times(tmp_path):
    film(tmp_path / "a.mp4", 1)
    with Image.open(io.BytesIO(stills(tmp_path / "a.mp4"))) as strip:
        assert strip.size == (3 * 320, HEIGHT)


@pytest.mark.parametrize("content", [b"", b"no video", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"])
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(NotPlayable):
        stills(tmp_path / "a.mp4")
