"""Probes a video file with PyAV (FFmpeg's libraries)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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
    """Read every packet and decode the first and last frame; takes about 10 ms, so call it in a thread.

    Raises:
        NotPlayable: the file has no video stream, or the stream can't be decoded.
    """
    import av  # noqa: PLC0415  takes half a second, and only collectors need it
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise NotPlayable("it has no video stream")
            stream = container.streams.video[0]
            packets = [packet for packet in container.demux(stream) if packet.pts is not None]
            last_key = max((p.pts for p in packets if p.is_keyframe and p.pts is not None), default=None)
            if last_key is None:
                raise NotPlayable("its first frame is missing")
            for position in dict.fromkeys((0, last_key)):
                container.seek(position, stream=stream)
                next(container.decode(stream))
            ticks = max((p.pts or 0) + (p.duration or 0) for p in packets) - min(p.pts or 0 for p in packets)
            facts = VideoFacts(
                duration=round(float(ticks * (stream.time_base or 0)), 3),
                width=stream.codec_context.width,
                height=stream.codec_context.height,
                fps=round(float(stream.average_rate or 0), 3),
            )
    except (FFmpegError, StopIteration, ValueError) as error:
        raise NotPlayable(f"it can't be decoded: {error or 'no frames'}") from error
    if facts.width <= 0 or facts.height <= 0 or facts.duration <= 0:
        raise NotPlayable(f"it is empty: {facts}")
    return facts
