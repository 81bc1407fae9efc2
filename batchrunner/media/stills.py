"""Takes three frames out of a video, as one JPEG: the first, the middle and the last, side by side."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.media.probe import NotPlayable

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL import Image

HEIGHT = 180
"""Pixels; upright videos have more, so that their pictures are as large."""
_QUALITY = 78


def stills(path: Path) -> bytes:
    """A JPEG with the first, the middle and the last frame of a video, side by side and of equal size.

    It takes up to the time to decode the video once, so call it in a thread.

    Raises:
        NotPlayable: it can't be decoded.
    """
    with _opened(path) as frames:
        pictures = [_small(frames.at(moment)) for moment in frames.chosen]
    return _side_by_side(pictures)


def frame_at_end(path: Path) -> VideoFrame:
    """The last frame of a video; call it in a thread.

    Raises:
        NotPlayable: it can't be decoded.
    """
    with _opened(path) as frames:
        return frames.at(frames.chosen[-1])


@contextmanager
def _opened(path: Path) -> Iterator[_Frames]:
    import av  # noqa: PLC0415  slow to import
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise NotPlayable("it has no video stream")
            stream = container.streams.video[0]
            stream.thread_count = 1  # videos are decoded at the same time, one in each thread
            yield _Frames(container, stream)
    except (FFmpegError, StopIteration, ValueError) as error:
        raise NotPlayable(f"it can't be decoded: {error or 'no frames'}") from error


class _Frames:
    """The frames of a video in their order, of which no more are decoded than must be."""

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        entries = stream.index_entries
        self._keys = sorted(entry.timestamp for entry in entries if entry.is_keyframe)
        self._frames = container.decode(stream)
        self.shown: VideoFrame = next(self._frames)
        self._next: VideoFrame | None = next(self._frames, None)
        start = self.shown.pts or 0
        length = stream.duration or 0
        self.chosen = (start, start + length // 2, start + length)
        """The beginning, the middle and the end, in the stream's time base."""

    def at(self, moment: int) -> VideoFrame:
        """The frame that is shown at this moment; moments must not go back."""
        key = self._keys[bisect_right(self._keys, moment) - 1] if self._keys else 0
        if self._next is not None and key > (self.shown.pts or 0):
            self._container.seek(key, stream=self._stream)
            self._frames = self._container.decode(self._stream)
            self._next = next(self._frames, None)
        while self._next is not None and (self._next.pts or 0) <= moment:
            self.shown, self._next = self._next, next(self._frames, None)
        return self.shown


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
