"""Is this a whole picture, and of which kind? Last frames come as JPEG or PNG, without saying which."""

from __future__ import annotations

from batchrunner.media.boxes import NotWhole

_KINDS = ((b"\xff\xd8\xff", b"\xff\xd9", ".jpg"), (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82", ".png"))
"""First bytes, last bytes, file name ending."""


def picture_ending(data: bytes) -> str:
    """The file name ending for a JPEG or PNG, told by its first bytes.

    Raises:
        NotWhole: it is neither, or it is cut.
    """
    for first, last, ending in _KINDS:
        if data.startswith(first):
            if data.rstrip(b"\0").endswith(last):
                return ending
            raise NotWhole(f"a cut picture of {len(data)} bytes")
    raise NotWhole(f"begins with {data[:12]!r}, which is neither JPEG nor PNG")
