"""Real, playable videos: H.264 in MP4, of exactly the requested size and number of frames.

From the top: a label that says whose video it is, a clock, and a moving pattern of bars in two colours; the
task's number selects colours, pattern and motion, so that neighbours look different.

All but the label is the same for many tasks: each (size, frames, variant) is encoded once, with a black
label, and cached in memory and in the state directory. A task's own label is encoded as a single frame, and
replaces a slice of the first one (see `splicing`). A box at the end makes each task's file unique.
"""

from __future__ import annotations

import asyncio
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.simulator.captions import BLACK, Caption, ClockFace, label
from batchrunner.simulator.splicing import Template, last_unit, template_of
from batchrunner.simulator.video_model import FPS

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame
    from av.video.stream import VideoStream

_COLOURS = ((90, 180), (200, 90), (60, 60), (170, 200), (110, 40), (230, 128), (40, 160), (128, 230))  # U, V
_NEUTRAL = 128  # U and V of black and white
_BAR = 64  # pixels
_PATTERNS = ("across", "down", "slanted")
VARIANTS = len(_COLOURS)
_BLOCK = 16  # pixels; the unit of slices
_FARTHEST = 32  # pixels; the least that x264 takes as the most by which anything moves
_INTERPOLATED = 4  # pixels beyond that at which filters for parts of pixels look
_FORM = "captioned"  # part of the names of cached files: older versions have no label to replace


@dataclass(frozen=True)
class Picture:
    """Everything that an encoded video depends on, but for its label."""

    width: int
    height: int
    frames: int
    variant: int

    @property
    def label_height(self) -> int:
        """Rows of the label: whole blocks, of a readable size also in a small picture of the video."""
        return _BLOCK * max(2, round(min(self.width, self.height) / 125))


def picture_of(ordinal: int, width: int, height: int, frames: int) -> Picture:
    """The picture of the task with this number: always the same, and different from its neighbours'."""
    return Picture(width, height, frames, ordinal % VARIANTS)


class Videos:
    """The cache of encoded videos of one state directory; encodes in its own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # One at a time: two encoders of the same picture would do the work twice.
        self._encoder = ThreadPoolExecutor(1, "simulator-encoder")

    async def video(self, picture: Picture, caption: Caption) -> bytes:
        """The whole MP4 file of a task."""
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._encoder, self._captioned, picture, caption)
        return body + _own_box(caption.remote_id)

    async def last_frame(self, picture: Picture, caption: Caption) -> bytes:
        """The last picture of a video as a JPEG file."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._encoder, _encode_last_frame, picture, caption)

    def close(self) -> None:
        """Wait for the encoder to finish."""
        self._encoder.shutdown(cancel_futures=True)

    def _captioned(self, picture: Picture, caption: Caption) -> bytes:
        return self._cached(picture).spliced(_encode_label(picture, caption))

    def _cached(self, picture: Picture) -> Template:
        name = f"{picture.width}x{picture.height}-{picture.frames}-{picture.variant}-{_FORM}.mp4"
        path = self._directory / name
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(_encode(picture))
            part.replace(path)
        return _read(path)


@lru_cache(maxsize=64)
def _read(path: Path) -> Template:
    return template_of(path.read_bytes())


@lru_cache(maxsize=64)  # shared by the process: tests start many simulators
def _encode(picture: Picture) -> bytes:
    """The video with a black label."""
    import av  # noqa: PLC0415  a simulator answers sooner without, and its first video is far away

    file, painter = io.BytesIO(), _Painter(picture)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_options(picture, crf=38))
        _set_size(stream, picture.width, picture.height, "yuv420p")
        for number in range(picture.frames):
            container.mux(stream.encode(painter.frame(number)))
        container.mux(stream.encode())
    return file.getvalue()


def _encode_label(picture: Picture, caption: Caption) -> bytes:
    """The slice of a key frame that shows a label, in a form that fits into the video."""
    from av import CodecContext, VideoFrame  # noqa: PLC0415

    encoder = CodecContext.create("libx264", "w")
    _set_size(encoder, picture.width, picture.label_height, "yuv420p")
    encoder.time_base = Fraction(1, FPS)
    encoder.options = _options(picture, crf=28)
    frame = VideoFrame(picture.width, picture.label_height, "yuv420p")
    luma, *chroma = frame.planes
    luma.update(_label_rows(picture, caption, luma.line_size))
    for plane in chroma:
        plane.update(bytes((_NEUTRAL,)) * plane.buffer_size)
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return last_unit(b"".join(map(bytes, packets)))


def _options(picture: Picture, crf: int) -> dict[str, str]:
    """An encoder's options: the label is a slice of its own, and nothing below is copied out of it."""
    across = -(-picture.width // _BLOCK)
    details = {
        "slice-max-mbs": across * picture.label_height // _BLOCK,
        "mvrange": _FARTHEST,
        "keyint": "infinite",  # a second key frame would show the black label
        "stitchable": 1,  # the same headers for every size and quality
        "cabac": 1,  # an encoder without it takes longer to open than to encode a label
    }
    written = ":".join(f"{name}={value}" for name, value in details.items())
    return {"preset": "ultrafast", "crf": str(crf), "threads": "1", "x264-params": written}


def _encode_last_frame(picture: Picture, caption: Caption) -> bytes:
    import av  # noqa: PLC0415

    file = io.BytesIO()
    with av.open(file, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        _set_size(stream, picture.width, picture.height, "yuvj420p")
        frame = _Painter(picture, caption).frame(picture.frames - 1).reformat(format="yuvj420p")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _set_size(encoder: VideoStream | VideoCodecContext, width: int, height: int, pix_fmt: str) -> None:
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pix_fmt


class _Painter:
    """Paints frames as bytes: text and moving bars don't justify an array library."""

    def __init__(self, picture: Picture, caption: Caption | None = None) -> None:
        from av import VideoFrame  # noqa: PLC0415

        luma, *chroma = VideoFrame(picture.width, picture.height, "yuv420p").planes
        self._picture, self._stride = picture, luma.line_size
        self._label = _label_rows(picture, caption, self._stride) + _black(self._stride, _FARTHEST)
        self._clock = ClockFace(self._stride, picture.width, picture.label_height, picture.frames)
        above = picture.label_height + _FARTHEST + picture.label_height
        self._rows = luma.buffer_size // luma.line_size - above
        self._chroma = [
            bytes((_NEUTRAL,)) * (plane.line_size * above // 2)
            + bytes((value,)) * (plane.buffer_size - plane.line_size * above // 2)
            for plane, value in zip(chroma, _COLOURS[picture.variant], strict=True)
        ]

    def frame(self, number: int) -> VideoFrame:
        """The frame with this number, from 0."""
        from av import VideoFrame  # noqa: PLC0415

        picture = self._picture
        frame = VideoFrame(picture.width, picture.height, "yuv420p")
        pattern = _PATTERNS[picture.variant % len(_PATTERNS)]
        bars = _bars(pattern, self._stride, self._rows, number * (2 + picture.variant))
        for plane, content in zip(
            frame.planes, (self._label + self._clock.rows(number) + bars, *self._chroma), strict=True
        ):
            plane.update(content)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        return frame


def _label_rows(picture: Picture, caption: Caption | None, stride: int) -> bytes:
    """The luma of a label. Its last rows stay black: what is interpolated below looks at them."""
    if caption is None:
        return _black(stride, picture.label_height)
    height = picture.label_height - _INTERPOLATED
    return label(caption, stride, picture.width, height) + _black(stride, _INTERPOLATED)


def _black(stride: int, rows: int) -> bytes:
    return bytes((BLACK,)) * stride * rows


def _bars(pattern: str, width: int, height: int, shift: int) -> bytes:
    """The brightness of one frame: dark and light bars, shifted by `shift` pixels."""
    period = bytes((60,)) * _BAR + bytes((170,)) * _BAR
    strip = period * ((width + height) // len(period) + 2)
    start = shift % len(period)
    if pattern == "across":
        return strip[start : start + width] * height
    if pattern == "down":
        return b"".join(bytes((value,)) * width for value in strip[start : start + height])
    starts = ((start + row) % len(period) for row in range(height))
    return b"".join(strip[at : at + width] for at in starts)


def _own_box(remote_id: str) -> bytes:
    """A `free` box, which every player skips."""
    payload = remote_id.encode()
    return (8 + len(payload)).to_bytes(4, "big") + b"free" + payload
