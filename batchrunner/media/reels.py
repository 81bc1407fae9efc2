"""Measures videos that are to be joined, and checks that they were encoded in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet
    from av.video.stream import VideoStream

_PLAIN_AUDIO = "aac LC"
"""The codec and profile of which silence can be made."""
_COUNT_OF_SPS = 5
"""Where H.264's parameter sets begin in its headers (ISO/IEC 14496-15, 5.3.3.1)."""


class NotJoinable(Exception):
    """Videos that can't be joined; the message says which ones, and why."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The sound of a video; times in samples, from its first picture on."""

    codec: str
    rate: int
    """Samples per second."""
    layout: str
    """Its channels."""
    begin: int
    """Of the first packet; negative for packets that only prepare the decoder."""
    step: int
    """Length of a packet."""

    @property
    def lead(self) -> int:
        """How many packets end before the first picture is shown."""
        return max(0, -self.begin // self.step)

    @property
    def traits(self) -> dict[str, str]:
        """What must be the same for all videos with sound."""
        return {
            "audio codec": self.codec,
            "sample rate": str(self.rate),
            "audio channels": self.layout,
            "length of audio packets": str(self.step),
        }


@dataclass(frozen=True, slots=True)
class Reel:
    """A video that is to be joined with others; times in ticks of its time base."""

    path: Path
    name: str
    traits: dict[str, str]
    """What must be the same for all videos."""
    headers: bytes
    """What the decoder must know."""
    time_base: Fraction
    begin: int
    """When the first picture is shown."""
    length: int
    delay: int
    """How long before it is shown the first picture is decoded."""
    sound: Sound | None

    @property
    def parameter_sets(self) -> bytes:
        """H.264's parameter sets, as they stand before a picture."""
        sets, at = b"", _COUNT_OF_SPS
        for mask in (0x1F, 0xFF):  # other bits of the first count are reserved
            number, at = self.headers[at] & mask, at + 1
            for _ in range(number):
                size = int.from_bytes(self.headers[at : at + 2], "big")
                sets += size.to_bytes(4, "big") + self.headers[at + 2 : at + 2 + size]
                at += 2 + size
        return sets


def measured(path: Path, name: str) -> Reel:
    """Measure a video.

    Raises:
        NotJoinable: it can't be read, or only a part of it is shown.
    """
    import av  # noqa: PLC0415  takes a fifth of a second

    try:
        with av.open(str(path), format="mp4") as container:
            video = container.streams.video[0]
            shown = [packet for packet in container.demux(video) if packet.size]
            begin = min(_time(packet.pts) for packet in shown)
            end = max(_time(packet.pts) + _time(packet.duration) for packet in shown)
            time_base = video.time_base or Fraction(1)
            if any(packet.is_discard for packet in shown):
                raise NotJoinable(f"only a part of the shot {name} is shown (it has an edit list)")
            container.seek(0)
            audio = container.streams.audio
            return Reel(
                path,
                name,
                _traits(video),
                video.codec_context.extradata or b"",
                time_base,
                begin,
                end - begin,
                begin - _time(shown[0].dts),
                _sound(container.demux(audio[0]), begin * time_base) if audio else None,
            )
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise NotJoinable(f"the shot {name} can't be read: {error}") from error


def check_joinable(reels: Sequence[Reel]) -> None:
    """Check that videos can be joined.

    Raises:
        NotJoinable: two of them differ.
    """
    for other in reels[1:]:
        _compare(reels[0], other, reels[0].traits, other.traits)
        if reels[0].headers != other.headers and not _have_parameter_sets(reels[0], other):
            raise _differ(reels[0], other, "the headers of the codec")
    loud = [(reel, reel.sound) for reel in reels if reel.sound]
    for other, sound in loud[1:]:
        _compare(loud[0][0], other, loud[0][1].traits, sound.traits)
    if loud and loud[0][1].codec != _PLAIN_AUDIO:
        raise NotJoinable(
            f"the sound of the shot {loud[0][0].name} is {loud[0][1].codec}, not {_PLAIN_AUDIO}"
        )


def _traits(video: VideoStream) -> dict[str, str]:
    codec = video.codec_context
    return {
        "size": f"{codec.width}×{codec.height}",
        "frame rate": f"{float(video.average_rate or 0):.4g}",
        "codec": f"{codec.name} {codec.profile}, {codec.pix_fmt}",
        "time base": str(video.time_base),
    }


def _sound(packets: Iterator[Packet[AudioStream]], origin: Fraction) -> Sound | None:
    """The sound that these packets make; `origin` is when the first picture is shown, in seconds."""
    first = next((packet for packet in packets if packet.size), None)
    if first is None:
        return None
    codec = first.stream.codec_context
    begin = round((_time(first.pts) * first.time_base - origin) * codec.sample_rate)
    name = f"{codec.name} {codec.profile}"
    return Sound(name, codec.sample_rate, codec.layout.name, begin, codec.frame_size or 1)


def _time(value: int | None) -> int:
    if value is None:
        raise ValueError("a packet has no time")
    return value


def _compare(one: Reel, other: Reel, traits: dict[str, str], others: dict[str, str]) -> None:
    for name, value in traits.items():
        if value != others[name]:
            raise _differ(one, other, f"{name} ({value} and {others[name]})")


def _have_parameter_sets(*reels: Reel) -> bool:
    """Whether headers may differ: they consist of parameter sets that can stand in front of pictures."""
    return all(reel.traits["codec"].startswith("h264 ") and reel.headers[4:5] == b"\xff" for reel in reels)


def _differ(one: Reel, other: Reel, what: str) -> NotJoinable:
    return NotJoinable(f"the shots {one.name} and {other.name} differ in {what}")
