"""The last frame of a video: checks the gateway's picture of it, or takes it out of the video."""

from __future__ import annotations

import io
from pathlib import Path

from batchrunner.media.boxes import NotWhole
from batchrunner.media.stills import frame_at_end

_KINDS = ((b"\xff\xd8\xff", b"\xff\xd9", ".jpg"), (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82", ".png"))
"""First bytes, last bytes, file extension."""


def last_frame(path: Path) -> bytes:
    """The last frame of a video as a PNG, in its full size.

    It decodes from the last key frame on, so call it in a thread.

    Raises:
        NotPlayable: the video can't be decoded.
    """
    data = io.BytesIO()
    frame_at_end(path).to_image().save(data, "PNG")  # type: ignore[no-untyped-call]
    return data.getvalue()


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
