"""Joins videos to one, without encoding anything again: their packets are copied.

The videos must have been encoded in the same way. Where only H.264's parameter sets differ, which say how
pictures are compressed, each key frame gets those of its own video, and the file says so (`avc3`).

Packets of sound have one length, and rarely end where a picture does. Those of the film lie on one grid, so
that it has neither gaps nor overlaps, and each video's are moved onto it, by half a packet (12 ms) at most.
At a cut, the later video's leading packet, which its first samples depend on, replaces the earlier one's
last. Where a video has no sound, there is silence.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate, chain, count, islice, pairwise
from math import ceil
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from batchrunner.media.reels import NotJoinable, Reel, Sound, check_joinable, measured

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.container.core import Chapter
    from av.packet import Packet
    from av.stream import Stream

_OPTIONS = {"movflags": "+faststart", "fflags": "+bitexact"}
"""The tables come first, so that a player can start at once, and nothing names the library's version."""
_SILENT_PACKETS = 4
"""The encoder's first packets differ from those that follow."""


class Joined(NamedTuple):
    """A film that was written. Times in seconds."""

    starts: list[float]
    """When each video begins."""
    durations: list[float]
    """How long each video is."""
    duration: float


class _Piece(NamedTuple):
    """A packet of the film; times in units of its track's time base."""

    at: Fraction
    """When it is decoded, in seconds: the order in which pieces are written."""
    track: int
    """0 for pictures, 1 for sound."""
    data: bytes
    pts: int
    dts: int
    duration: int
    is_key: bool


def join(videos: Sequence[tuple[Path, str]], target: Path) -> Joined:
    """Write an MP4 file with a chapter for each video, given by its path and name.

    The same videos make the same bytes, with the same version of the libraries.

    Raises:
        NotJoinable: two of them differ, or one can't be read.
        OSError: the disk returned an error.
    """
    import av  # noqa: PLC0415  takes a fifth of a second

    reels = [measured(path, name) for path, name in videos]
    check_joinable(reels)
    cuts = list(accumulate((reel.length for reel in reels), initial=0))
    try:
        with av.open(str(target.absolute()), "w", format="mp4", options=_OPTIONS) as film:
            _write(film, reels, cuts)
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise NotJoinable(f"its shots can't be joined: {error}") from error
    seconds = [round(float(cut * reels[0].time_base), 6) for cut in cuts]
    lengths = [round(float(reel.length * reel.time_base), 6) for reel in reels]
    return Joined(seconds[:-1], lengths, seconds[-1])


def _write(film: OutputContainer, reels: Sequence[Reel], cuts: Sequence[int]) -> None:
    """Write all tracks; `cuts` are where each video begins, and where the last one ends."""
    from av import Packet  # noqa: PLC0415

    first, loud = reels[0], next((reel for reel in reels if reel.sound), None)
    tracks = [_add_track(film, first, "video")]
    time_bases, pieces = [first.time_base], [_pictures(reels, cuts)]
    tracks[0].time_base = first.time_base  # some versions of the library don't copy it
    if any(reel.headers != first.headers for reel in reels):
        tracks[0].codec_context.codec_tag = "avc3"
    if loud and loud.sound:
        tracks.append(_add_track(film, loud, "audio"))
        time_bases.append(Fraction(1, loud.sound.rate))
        pieces.append(_sounds(reels, cuts, loud.sound))
    film.metadata["title"] = reels[-1].name
    film.set_chapters(list(map(_chapter, count(), reels, cuts, cuts[1:])))
    for piece in heapq.merge(*pieces, key=attrgetter("at")):
        packet = Packet(len(piece.data))  # given the data, it would only refer to them, and is written later
        packet.update(piece.data)
        packet.stream, packet.time_base = tracks[piece.track], time_bases[piece.track]
        packet.pts, packet.dts, packet.duration = piece.pts, piece.dts, piece.duration
        packet.is_keyframe = piece.is_key
        film.mux_one(packet)


def _chapter(number: int, reel: Reel, start: int, end: int) -> Chapter:
    metadata = {"title": reel.name}
    return {"id": number, "start": start, "end": end, "time_base": reel.time_base, "metadata": metadata}


def _add_track(film: OutputContainer, reel: Reel, kind: Literal["video", "audio"]) -> Stream:
    """Add a track for packets like those of a video."""
    import av  # noqa: PLC0415

    with av.open(str(reel.path), format="mp4") as container:
        return film.add_stream_from_template(container.streams.get({kind: 0})[0])


def _packets(reel: Reel, kind: Literal["video", "audio"]) -> Iterator[Packet[Stream]]:
    import av  # noqa: PLC0415

    with av.open(str(reel.path), format="mp4") as container:
        yield from (packet for packet in container.demux({kind: 0}) if packet.size)


def _pictures(reels: Sequence[Reel], cuts: Sequence[int]) -> Iterator[_Piece]:
    delay = max(reel.delay for reel in reels)  # decoding must go on at a cut, never back
    own_sets = any(reel.headers != reels[0].headers for reel in reels)
    for reel, cut in zip(reels, cuts, strict=False):
        sets = reel.parameter_sets if own_sets else b""
        for packet in _packets(reel, "video"):
            data = sets + bytes(packet) if packet.is_keyframe else bytes(packet)
            pts = (packet.pts or 0) + cut - reel.begin
            dts = (packet.dts or 0) + cut - reel.begin - (delay - reel.delay)
            length = packet.duration or 0
            yield _Piece(dts * reel.time_base, 0, data, pts, dts, length, packet.is_keyframe)


def _sounds(reels: Sequence[Reel], cuts: Sequence[int], model: Sound) -> Iterator[_Piece]:
    """The sound of all videos, like that of `model`; times in samples."""
    step, phase = model.step, model.begin % model.step
    moments = [cut * reels[0].time_base * model.rate for cut in cuts]
    skipped = [max(0, reel.sound.lead - 1) if reel.sound else 0 for reel in reels]
    skipped[0] = 0
    begins = [
        round((moment + (reel.sound.begin if reel.sound else 0) - phase) / step) + skip
        for reel, moment, skip in zip(reels, moments, skipped, strict=False)
    ]
    begins.append(ceil((moments[-1] - phase) / step))
    for reel, skip, over, (begin, end) in zip(reels, skipped, moments[1:], pairwise(begins), strict=True):
        most = max(0, ceil((over - phase) / step) - begin)  # sound may go on after the pictures
        own = map(bytes, islice(_packets(reel, "audio"), skip, skip + most)) if reel.sound else ()
        for number, data in zip(range(begin, end), chain(own, _silence(model)), strict=False):
            at = phase + number * step
            length = min(step, ceil(moments[-1]) - at)
            yield _Piece(Fraction(at, model.rate), 1, data, at, at, length, True)


def _silence(model: Sound) -> Iterator[bytes]:
    """Packets of silence."""
    from av import AudioFrame, CodecContext  # noqa: PLC0415

    encoder = CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = model.rate, model.layout, "fltp"
    frame = AudioFrame("fltp", model.layout, model.step)
    frame.sample_rate = model.rate
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    packets: list[bytes] = []
    for number in range(_SILENT_PACKETS):
        frame.pts = number * model.step
        packets += map(bytes, encoder.encode(frame))
    while True:
        yield packets[-1]
