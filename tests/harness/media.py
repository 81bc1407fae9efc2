"""Whether videos and pictures are whole, asked of the files themselves."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import av
from PIL import Image

_DECODED: set[str] = set()
"""Hashes of videos that have been decoded: the simulator's differ by a box at their end only."""


def whole_video(path: Path) -> str:
    """What is wrong with a video; empty if it is whole and every picture decodes."""
    data, at, last = path.read_bytes(), 0, 0
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0] if at + 8 <= len(data) else 0
        if size < 8 or at + size > len(data):
            return f"its box at byte {at} of {len(data)} is cut"
        last, at = at, at + size
    digest = hashlib.sha256(data[:last]).hexdigest()
    if digest not in _DECODED:
        try:
            with av.open(path) as container:
                if not sum(1 for _ in container.decode(video=0)):
                    return "it has no picture"
        except av.FFmpegError as error:
            return f"it does not decode: {error}"
        _DECODED.add(digest)
    return ""


def whole_picture(path: Path) -> str:
    """What is wrong with a JPEG file; empty if it is whole."""
    try:
        with Image.open(path) as image:
            image.load()
    except OSError as error:
        return f"it does not decode: {error}"
    return ""
