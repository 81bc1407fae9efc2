"""Takes three frames out of a video, as one JPEG: the first, the middle and the last, side by side."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.media.probe import NotPlayable

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

FRAMES = 3
HEIGHT = 180
"""Pixels; upright videos have more, so that their pictures are as large."""
_QUALITY = 78


def stills(path: Path) -> bytes:
    """A JPEG with the first, the middle and the last frame of a video, side by side and of equal size.

    It takes up to the time to decode the video once, so call it in a thread.

    Raises:
        NotPlayable: it can't be decoded.
    """
    import av  # noqa: PLC0415  slow to import
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise NotPlayable("it has no video stream")
            stream = container.streams.video[0]
            stream.thread_count = 1  # videos are decoded at the same time, one in each thread
            frames = [_small(frame) for frame in _chosen(container, stream)]
    except (FFmpegError, ValueError, IndexError) as error:
        raise NotPlayable(f"it can't be decoded: {error or 'no frames'}") from error
    return _side_by_side(frames)


def _chosen(container: InputContainer, stream: VideoStream) -> list[VideoFrame]:
    """The three frames, decoding no more than lies between them and the key frames before them."""
    keys = [entry.timestamp for entry in stream.index_entries if entry.is_keyframe]
    stamps = sorted(entry.timestamp for entry in stream.index_entries)
    start = stamps[0] if stamps else 0
    length = stream.duration or (stamps[-1] - start if stamps else 0)
    first = next(container.decode(stream))
    middle = _frame_at(container, stream, start + length // 2, keys, first)
    last = _frame_at(container, stream, start + length, keys, middle)
    return [first, middle, last]


def _frame_at(
    container: InputContainer, stream: VideoStream, at: int, keys: Sequence[int], before: VideoFrame
) -> VideoFrame:
    """The last frame shown at or before `at`; decoding goes on from `before`, or from a later key frame."""
    key = keys[bisect_right(keys, at) - 1] if keys and keys[0] <= at else None
    if key is not None and key > (before.pts or 0):
        container.seek(key, stream=stream)
    found = before
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts > at:
            break
        found = frame
    return found


def _small(frame: VideoFrame) -> Image.Image:
    height = HEIGHT if frame.width >= frame.height else HEIGHT * 16 // 9
    width = max(2, round(frame.width * height / frame.height / 2) * 2)
    image: Image.Image = frame.reformat(width=width, height=height, format="rgb24").to_image()  # type: ignore[no-untyped-call]
    return image


def _side_by_side(frames: Sequence[Image.Image]) -> bytes:
    from PIL import Image  # noqa: PLC0415  slow to import

    width, height = frames[0].size
    strip = Image.new("RGB", (width * len(frames), height))
    for index, frame in enumerate(frames):
        strip.paste(frame, (index * width, 0))
    data = io.BytesIO()
    strip.save(data, "JPEG", quality=_QUALITY, optimize=True)
    return data.getvalue()
