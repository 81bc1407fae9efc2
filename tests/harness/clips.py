"""Small videos as a model makes them: H.264 whose pictures refer forward, and AAC."""

from __future__ import annotations

import array
import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av


@dataclass(frozen=True)
class Look:
    """How a video is made; no two pictures of it are equal."""

    frames: int = 24
    shade: int = 20
    width: int = 96
    height: int = 64
    fps: int = 24
    pitch: int | None = 440
    """Of its sound, in Hz; None for no sound."""
    begin: int = 0
    """By how many pictures its first one is late; if negative, so many are not shown."""
    late: int = 0
    """By how many pictures its sound begins later."""
    longer: int = 0
    """By how many pictures its sound goes on after the last one."""
    rate: int = 44_100
    layout: str = "stereo"
    forward: int = 2
    """How many pictures in a row may refer forward."""
    codec: str = "libx264"
    details: str = ""
    """For the encoder."""


@lru_cache(maxsize=64)
def video(look: Look) -> bytes:
    """The MP4 file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        options = {"preset": "veryfast", "bf": str(look.forward), "threads": "1"}
        if look.details:
            options["x264-params"] = look.details
        pictures = container.add_stream(look.codec, rate=look.fps, options=options)
        pictures.width, pictures.height, pictures.pix_fmt = look.width, look.height, "yuv420p"
        sound = None
        if look.pitch:  # without noise, which decoders draw
            sound = container.add_stream("aac", rate=look.rate, layout=look.layout, options={"aac_pns": "0"})
        for frame in _pictures(look):
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if sound:
            for samples in _sound(look):
                container.mux(sound.encode(samples))
            container.mux(sound.encode())
    return file.getvalue()


def pictures_of(path: Path) -> list[tuple[int, str]]:
    """When every decoded picture of a video is shown, and its hash."""
    with av.open(path) as container:
        return [(frame.pts or 0, _digest(frame)) for frame in container.decode(video=0)]


def sound_of(path: Path) -> list[tuple[int, bytes]]:
    """When every decoded packet of a video's sound is played, and the first channel's samples."""
    with av.open(path) as container:
        return [
            (frame.pts or 0, bytes(frame.planes[0])[: frame.samples * 4])
            for frame in container.decode(audio=0)
        ]


def _digest(frame: av.VideoFrame) -> str:
    """The hash of a picture, without what fills up its lines in memory."""
    found = hashlib.sha256()
    for plane in frame.planes:
        content = bytes(plane)
        for row in range(plane.height):
            found.update(content[row * plane.line_size :][: plane.width])
    return found.hexdigest()


def _pictures(look: Look) -> Iterator[av.VideoFrame]:
    for number in range(look.frames):
        frame = av.VideoFrame(look.width, look.height, "yuv420p")
        luma, *chroma = frame.planes
        row = bytes((look.shade + number * 3 + column // 7) % 256 for column in range(luma.line_size))
        luma.update(row * look.height)
        for plane in chroma:
            plane.update(bytes([look.shade]) * plane.buffer_size)
        frame.pts, frame.time_base = number + look.begin, Fraction(1, look.fps)
        yield frame


def _sound(look: Look) -> Iterator[av.AudioFrame]:
    late, total = (pictures * look.rate // look.fps for pictures in (look.late, look.frames + look.longer))
    for at in range(late, total, 1024):
        number = min(1024, total - at)
        turns = (look.pitch or 0) * 2 * math.pi / look.rate
        samples = array.array("f", (0.3 * math.sin(turns * (at + place)) for place in range(number)))
        frame = av.AudioFrame("fltp", look.layout, number)
        for plane in frame.planes:
            plane.update(samples.tobytes())
        frame.sample_rate, frame.pts, frame.time_base = look.rate, at, Fraction(1, look.rate)
        yield frame
