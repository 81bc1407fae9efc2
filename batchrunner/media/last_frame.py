"""The last frame of a video: checks the gateway's picture of it, or takes it out of the video."""

from __future__ import annotations

import io
from pathlib import Path

from batchrunner.media.boxes import NotWhole
from batchrunner.media.stills import frame_at_end

_KINDS = ((b"\xff\xd8\xff", b"\xff\xd9", ".jpg"), (b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82", ".png"))
"""First bytes, last bytes, file extension."""
_COMPARED = (64, 64)
_ALIKE = 16.0
"""Mean difference of each colour, of 255: compression stays far below, and another picture far above."""


def last_frame(path: Path) -> bytes:
    """The last frame of a video as a PNG, in its full size.

    It decodes from the last key frame on, so call it in a thread.

    Raises:
        NotPlayable: the video can't be decoded.
    """
    data = io.BytesIO()
    frame_at_end(path).to_image().save(data, "PNG")  # type: ignore[no-untyped-call]
    return data.getvalue()


def is_same_picture(one: bytes, other: bytes) -> bool:
    """Whether two picture files show the same in the same size, but for what compression changes."""
    from PIL import Image, ImageChops, ImageStat  # noqa: PLC0415  slow to import

    try:
        with Image.open(io.BytesIO(one)) as first, Image.open(io.BytesIO(other)) as second:
            if first.size != second.size:
                return False
            small = [picture.convert("RGB").resize(_COMPARED) for picture in (first, second)]
    except Exception:  # Pillow's decoders may raise anything
        return False
    return max(ImageStat.Stat(ImageChops.difference(*small)).mean) < _ALIKE


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
