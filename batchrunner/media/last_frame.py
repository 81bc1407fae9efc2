"""Checks that a last frame is complete, and whether it is JPEG or PNG: the gateway doesn't say."""

from __future__ import annotations

from batchrunner.media.boxes import NotWhole

_KINDS = ((b"\xff\xd8\xff", b"\xff\xd9", ".jpg"), (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82", ".png"))
"""First bytes, last bytes, file extension."""


def picture_ending(data: bytes) -> str:
    """The file extension of a JPEG or PNG, detected from its first bytes.

    Raises:
        NotWhole: it is neither, or is truncated.
    """
    for first, last, ending in _KINDS:
        if data.startswith(first):
            if data.rstrip(b"\0").endswith(last):
                return ending
            raise NotWhole(f"a truncated picture of {len(data)} bytes")
    raise NotWhole(f"starts with {data[:12]!r}, which is neither JPEG nor PNG")
