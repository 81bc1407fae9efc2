"""Real, playable videos: H.264 in MP4, of exactly the requested size and number of frames.

From the top: a label that says whose video it is, a clock, and a moving pattern of bars in two colours; the
task's number selects colours, pattern and motion, so that neighbours look different.

All but the label is the same for many tasks: each (size, frames, variant) is encoded once, with a black
label, and cached in memory and in the state directory. A task's own label is encoded as a single frame, and
replaces a slice of the first one (see `splicing`). A box at the end makes each task's file unique.

A video that begins with a given picture has frames of its own at its beginning and its end. What lies
between starts with a key frame, and is cached in the same way.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.simulator.captions import Caption
from batchrunner.simulator.painting import (
    BLOCK,
    FARTHEST,
    NEUTRAL,
    ContinuingPainter,
    Painter,
    Picture,
    label_rows,
)
from batchrunner.simulator.splicing import Template, last_unit, template_of
from batchrunner.simulator.video_model import FPS

if TYPE_CHECKING:
    from av import VideoCodecContext
    from av.video.stream import VideoStream

_FORM = "captioned"  # part of the names of cached files: older versions have no label to replace
_MIDDLE = "middle"  # the same, of what lies between the frames of a task's own
_LEAST = 2  # frames of a middle: two key frames must not follow each other
_KEPT = 16  # finished videos in memory: a download may be tried again
_BARS = {"crf": "38"}  # the quality of what many tasks share
_OWN = {"qp": "26"}  # and of a task's own frames: better, and faster than a rate that is controlled


class Videos:
    """The cache of encoded videos of one state directory; encodes in its own thread."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # One at a time: two encoders of the same picture would do the work twice.
        self._encoder = ThreadPoolExecutor(1, "simulator-encoder")
        self._continuing: OrderedDict[tuple[Picture, Caption, bytes], bytes] = OrderedDict()

    async def video(self, picture: Picture, caption: Caption, first: bytes | None = None) -> bytes:
        """The whole MP4 file of a task; `first` is the picture file that it begins with, if any."""
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(self._encoder, self._body, picture, caption, first)
        return body + _own_box(caption.remote_id)

    async def last_frame(self, picture: Picture, caption: Caption, is_continuing: bool = False) -> bytes:
        """The last frame of a video as a JPEG file; `is_continuing` if it begins with a given picture."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._encoder, _encode_last_frame, picture, caption, is_continuing)

    def close(self) -> None:
        """Wait for the encoder to finish."""
        self._encoder.shutdown(cancel_futures=True)

    def _body(self, picture: Picture, caption: Caption, first: bytes | None) -> bytes:
        if first is None:
            return self._cached(picture, range(picture.frames), _FORM).spliced(
                _encode_label(picture, caption)
            )
        made, key = self._continuing, (picture, caption, hashlib.sha256(first).digest())
        if key not in made:
            made[key] = self._continued(picture, caption, first)
            while len(made) > _KEPT:
                made.popitem(last=False)
        return made[key]

    def _continued(self, picture: Picture, caption: Caption, first: bytes) -> bytes:
        """A video that begins with a given picture."""
        painter = ContinuingPainter(picture, None, caption.remote_id, first)
        opening, closing = picture.opening, picture.closing
        middle = range(opening.stop, closing.start)
        if len(middle) < _LEAST:
            parts = [template_of(_encode(painter, range(picture.frames), _OWN))]
        else:
            parts = [
                template_of(_encode(painter, opening, _OWN)),
                self._cached(picture, middle, _MIDDLE),
                template_of(_encode(painter, closing, _OWN)),
            ]
        label = _encode_label(picture, caption)
        return _joined([part.spliced(label) for part in parts])

    def _cached(self, picture: Picture, numbers: range, form: str) -> Template:
        name = f"{picture.width}x{picture.height}-{picture.frames}-{picture.variant}-{form}.mp4"
        path = self._directory / name
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(_encode_bars(picture, numbers))
            part.replace(path)
        return _read(path)


@lru_cache(maxsize=64)
def _read(path: Path) -> Template:
    return template_of(path.read_bytes())


@lru_cache(maxsize=64)  # shared by the process: tests start many simulators
def _encode_bars(picture: Picture, numbers: range) -> bytes:
    """These frames of a video with a black label, the same for many tasks."""
    return _encode(Painter(picture), numbers, _BARS)


def _encode(painter: Painter, numbers: range, quality: Mapping[str, str]) -> bytes:
    """These frames as a video of their own."""
    import av  # noqa: PLC0415  a simulator answers sooner without, and its first video is far away

    file, picture = io.BytesIO(), painter.picture
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_options(picture, quality))
        _set_size(stream, picture.width, picture.height, "yuv420p")
        for at, number in enumerate(numbers):
            frame = painter.frame(number)
            frame.pts = at
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _joined(parts: Sequence[bytes]) -> bytes:
    """One video made of several that were encoded alike, each with a key frame first; encodes nothing."""
    import av  # noqa: PLC0415

    file, stream, number = io.BytesIO(), None, 0
    with av.open(file, "w", format="mp4") as container:
        for part in parts:
            with av.open(io.BytesIO(part), "r") as piece:
                source = piece.streams.video[0]
                stream = stream or container.add_stream_from_template(source)
                for packet in piece.demux(source):
                    if packet.dts is None:  # the end of the part
                        continue
                    packet.stream, packet.time_base, packet.duration = stream, Fraction(1, FPS), 1
                    packet.pts = packet.dts = number
                    container.mux(packet)
                    number += 1
    return file.getvalue()


def _encode_label(picture: Picture, caption: Caption) -> bytes:
    """The slice of a key frame that shows a label, in a form that fits into the video."""
    from av import CodecContext, VideoFrame  # noqa: PLC0415

    encoder = CodecContext.create("libx264", "w")
    _set_size(encoder, picture.width, picture.label_height, "yuv420p")
    encoder.time_base = Fraction(1, FPS)
    encoder.options = _options(picture, {"crf": "28"})
    frame = VideoFrame(picture.width, picture.label_height, "yuv420p")
    luma, *chroma = frame.planes
    luma.update(label_rows(picture, caption, luma.line_size))
    for plane in chroma:
        plane.update(bytes((NEUTRAL,)) * plane.buffer_size)
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return last_unit(b"".join(map(bytes, packets)))


def _options(picture: Picture, quality: Mapping[str, str]) -> dict[str, str]:
    """An encoder's options: the label is a slice of its own, and nothing below is copied out of it."""
    across = -(-picture.width // BLOCK)
    details = {
        "slice-max-mbs": across * picture.label_height // BLOCK,
        "mvrange": FARTHEST,
        "keyint": "infinite",  # a second key frame would show the black label
        "stitchable": 1,  # the same headers for every size and quality
        "cabac": 1,  # an encoder without it takes longer to open than to encode a label
    }
    written = ":".join(f"{name}={value}" for name, value in details.items())
    return {"preset": "ultrafast", **quality, "threads": "1", "x264-params": written}


def _encode_last_frame(picture: Picture, caption: Caption, is_continuing: bool) -> bytes:
    import av  # noqa: PLC0415

    painter = Painter(picture, caption)
    if is_continuing:
        painter = ContinuingPainter(picture, caption, caption.remote_id, None)
    file = io.BytesIO()
    with av.open(file, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=FPS)
        _set_size(stream, picture.width, picture.height, "yuvj420p")
        frame = painter.frame(picture.frames - 1).reformat(format="yuvj420p")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def _set_size(encoder: VideoStream | VideoCodecContext, width: int, height: int, pix_fmt: str) -> None:
    encoder.width, encoder.height, encoder.pix_fmt = width, height, pix_fmt


def _own_box(remote_id: str) -> bytes:
    """A `free` box, which every player skips."""
    payload = remote_id.encode()
    return (8 + len(payload)).to_bytes(4, "big") + b"free" + payload
