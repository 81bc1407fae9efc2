"""Replaces the first slice of the first frame in an MP4 file, instead of encoding the whole video anew.

H.264 frames consist of slices that are decoded on their own. If the rows of the first slice never change
during the video, all later frames copy them from the first one.
"""

from __future__ import annotations

from dataclasses import dataclass

_KEY_SLICE = 5  # the type of a slice of a key frame
_START = b"\0\0\1"  # before every unit of a raw stream; never inside one


@dataclass(frozen=True)
class Template:
    """A video, and where to change it. Positions are bytes from the beginning."""

    body: bytes
    begin: int  # of the slice's length field
    end: int
    sizes: tuple[
        int, ...
    ]  # of 32-bit fields that grow with the slice: of a box, of a frame, where a chunk begins

    def spliced(self, piece: bytes) -> bytes:
        """The video with another first slice."""
        new = bytearray(self.body)
        more = 4 + len(piece) - (self.end - self.begin)
        for at in self.sizes:
            new[at : at + 4] = (_number(new, at) + more).to_bytes(4, "big")
        new[self.begin : self.end] = len(piece).to_bytes(4, "big") + piece
        return bytes(new)


def template_of(body: bytes) -> Template:
    """Find the places in a video as FFmpeg writes it: one track, and the media data before the tables."""
    data, _ = _box(body, 0, len(body), b"mdat")
    at, end = 0, len(body)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at, end = _box(body, at, end, name)
    sizes, _ = _box(body, at, end, b"stsz")
    chunks, _ = _box(body, at, end, b"stco")
    begin = _number(body, chunks + 8)
    while body[begin + 4] & 31 != _KEY_SLICE:
        begin += 4 + _number(body, begin)
    first = sizes + (4 if _number(body, sizes + 4) else 12)  # a single frame has no table of sizes
    later = range(chunks + 12, chunks + 8 + 4 * _number(body, chunks + 4), 4)
    return Template(body, begin, begin + 4 + _number(body, begin), (data - 8, first, *later))


def last_unit(stream: bytes) -> bytes:
    """The last unit of a raw H.264 stream."""
    return stream.rpartition(_START)[2]


def _number(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _box(data: bytes, at: int, end: int, name: bytes) -> tuple[int, int]:
    """Where the content of the first box of this name begins and ends."""
    while at < end:
        size = _number(data, at)
        if data[at + 4 : at + 8] == name:
            return at + 8, at + size
        at += size
    raise ValueError(f"the video has no box {name.decode()}")
