"""Walks an MP4's top-level boxes, to detect truncation when there was no Content-Length.

Box layout: ISO/IEC 14496-12, 4.2: 32-bit size, four-letter type; size 1: a 64-bit size follows; size 0:
to the end of the file.
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEAD = struct.Struct(">I4s")
_LARGE = struct.Struct(">Q")
_NEEDED = {b"ftyp", b"moov", b"mdat"}


class NotWhole(Exception):
    """The file is not a complete MP4; the message says why."""


def check_boxes(path: Path) -> None:
    """Check that the file starts with `ftyp`, contains `moov` and `mdat`, and ends where its boxes end.

    Raises:
        NotWhole: it doesn't.
    """
    end, at, seen = path.stat().st_size, 0, set()
    with path.open("rb") as file:
        while at < end:
            file.seek(at)
            head = file.read(_HEAD.size + _LARGE.size)
            if len(head) < _HEAD.size:
                raise NotWhole(f"cut in the middle of a box at byte {at}")
            size, kind = _HEAD.unpack_from(head)
            if at == 0 and kind != b"ftyp":
                raise NotWhole(f"starts with {head[:12]!r}, which is not an MP4 file")
            if size == 1 and len(head) == _HEAD.size + _LARGE.size:
                (size,) = _LARGE.unpack_from(head, _HEAD.size)
            elif size == 0:
                size = end - at
            if size < _HEAD.size:
                raise NotWhole(f"a box of {size} bytes at byte {at}")
            if at + size > end:
                raise NotWhole(f"cut: the {kind.decode('latin-1')!r} box needs {at + size - end} more bytes")
            seen.add(kind)
            at += size
    if missing := _NEEDED - seen:
        raise NotWhole(f"has no {', '.join(sorted(kind.decode() for kind in missing))} box")
