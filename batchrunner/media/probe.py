"""Probes a video file with PyAV (FFmpeg's libraries)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

_QUICK_OPEN = {"skip_frame": "all", "probesize": "32"}
"""Opening a file would decode its first frame too, only to learn the format of its pixels."""
_NO_KEY = "its first frame is missing"


@dataclass(frozen=True, slots=True)
class VideoFacts:
    """Properties of a video file."""

    duration: float
    """Seconds."""
    width: int
    height: int
    """Pixels."""
    fps: float


class NotPlayable(Exception):
    """The file is not playable; the message says why."""


def probe(path: Path) -> VideoFacts:
    """Check that every sample lies within the file, and decode the first and the last key frame.

    It takes a few milliseconds, so call it in a thread.

    Raises:
        NotPlayable: the file has no video stream, or the stream can't be decoded.
    """
    import av  # noqa: PLC0415  takes a fifth of a second, and only collectors need it
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        # The caller has seen the file's boxes: trying every other format takes a tenth of the time.
        with av.open(str(path), format="mp4", options=_QUICK_OPEN) as container:
            if not container.streams.video:
                raise NotPlayable("it has no video stream")
            stream = container.streams.video[0]
            stream.thread_count = 1  # starting threads takes longer than two frames
            found = _from_index(stream, path.stat().st_size) or _from_packets(container, stream)
            first = next(container.decode(stream))
            if found.last_key > (first.pts or 0):
                container.seek(found.last_key, stream=stream)
                next(container.decode(stream))
            facts = VideoFacts(
                duration=round(float(found.ticks * (stream.time_base or 0)), 3),
                width=stream.codec_context.width,
                height=stream.codec_context.height,
                fps=round(float(stream.average_rate or 0), 3),
            )
    except (FFmpegError, StopIteration, ValueError) as error:
        raise NotPlayable(f"it can't be decoded: {error or 'no frames'}") from error
    if facts.width <= 0 or facts.height <= 0 or facts.duration <= 0:
        raise NotPlayable(f"it is empty: {facts}")
    return facts


class _Samples(NamedTuple):
    """What a stream's samples show: when its last key frame begins, and how long it is, in its time base."""

    last_key: int
    ticks: int


def _from_index(stream: VideoStream, size: int) -> _Samples | None:
    """Check the table of samples; None if it may be incomplete, as in a fragmented file.

    Reading each packet instead would give up Python's lock once per packet, and wait for it again.
    """
    index = stream.index_entries
    if not stream.frames or len(index) != stream.frames or not stream.duration:
        return None
    last_key = None
    for sample in index:
        if sample.pos + sample.size > size:
            raise NotPlayable(f"a frame is outside the file, at byte {sample.pos}")
        if sample.is_keyframe:
            last_key = sample.timestamp
    if last_key is None:
        raise NotPlayable(_NO_KEY)
    return _Samples(last_key, stream.duration)


def _from_packets(container: InputContainer, stream: VideoStream) -> _Samples:
    """The same, by reading every packet; the container is then at its beginning again."""
    first, end, last_key = None, 0, None
    for packet in container.demux(stream):
        if packet.pts is None:
            continue
        first = packet.pts if first is None else min(first, packet.pts)
        end = max(end, packet.pts + (packet.duration or 0))
        if packet.is_keyframe:
            last_key = packet.pts if last_key is None else max(last_key, packet.pts)
    if first is None or last_key is None:
        raise NotPlayable(_NO_KEY)
    container.seek(0, stream=stream)
    return _Samples(last_key, end - first)
