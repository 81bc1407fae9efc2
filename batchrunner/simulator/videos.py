"""Real, playable videos: H.264 in MP4, of exactly the requested size and number of frames.

The picture is a moving pattern of bars in two colours; the task's number selects colours, pattern and
motion, so that neighbours look different. Each (size, frames, variant) is encoded once and cached in memory
and in the state directory; a box at the end makes each task's file unique.
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.simulator.video_model import FPS

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.stream import VideoStream

_COLOURS = ((90, 180), (200, 90), (60, 60), (170, 200), (110, 40), (230, 128), (40, 160), (128, 230))  # U, V
_BAR = 64  # pixels
_PATTERNS = ("across", "down", "slanted")
VARIANTS = len(_COLOURS)


@dataclass(frozen=True)
class Picture:
    """Everything that an encoded video depends on."""

    width: int
    height: int
    frames: int
    variant: int


def picture_of(ordinal: int, width: int, height: int, frames: int) -> Picture:
    """The picture of the task with this number: always the same, and different from its neighbours'."""
    return Picture(width, height, frames, ordinal % VARIANTS)


class Videos:
    """The cache of encoded videos of one state directory; encodes in its own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # One at a time: two encoders of the same picture would do the work twice.
        self._encoder = ThreadPoolExecutor(1, "simulator-encoder")

    async def video(self, picture: Picture, remote_id: str) -> bytes:
        """The whole MP4 file of a task."""
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._encoder, self._cached, picture)
        return body + _own_box(remote_id)

    async def last_frame(self, picture: Picture) -> bytes:
        """The last picture of a video as a JPEG file."""
        return await asyncio.get_running_loop().run_in_executor(self._encoder, _encode_last_frame, picture)

    def close(self) -> None:
        """Wait for the encoder to finish."""
        self._encoder.shutdown(cancel_futures=True)

    def _cached(self, picture: Picture) -> bytes:
        name = f"{picture.width}x{picture.height}-{picture.frames}-{picture.variant}.mp4"
        path = self._directory / name
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(_encode(picture))
            part.replace(path)
        return _read(path)


@lru_cache(maxsize=64)
def _read(path: Path) -> bytes:
    return path.read_bytes()


@lru_cache(maxsize=64)  # shared by the process: tests start many simulators
def _encode(picture: Picture) -> bytes:
    import av  # noqa: PLC0415  a simulator answers sooner without, and its first video is far away

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"preset": "ultrafast", "crf": "38", "threads": "1"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        _set_size(stream, picture, "yuv420p")
        for frame in _frames(picture):
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _encode_last_frame(picture: Picture) -> bytes:
    import av  # noqa: PLC0415

    file = io.BytesIO()
    with av.open(file, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        _set_size(stream, picture, "yuvj420p")
        *_, frame = _frames(picture)
        frame = frame.reformat(format="yuvj420p")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _set_size(stream: VideoStream, picture: Picture, pix_fmt: str) -> None:
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, pix_fmt


def _frames(picture: Picture) -> Iterator[VideoFrame]:
    """The frames, painted as bytes: moving bars don't justify an array library."""
    from av import VideoFrame  # noqa: PLC0415

    pattern = _PATTERNS[picture.variant % len(_PATTERNS)]
    speed = 2 + picture.variant
    for number in range(picture.frames):
        frame = VideoFrame(picture.width, picture.height, "yuv420p")
        luma, *chroma = frame.planes
        luma.update(_bars(pattern, luma.line_size, luma.buffer_size // luma.line_size, number * speed))
        for plane, value in zip(chroma, _COLOURS[picture.variant], strict=True):
            plane.update(bytes((value,)) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        yield frame


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
