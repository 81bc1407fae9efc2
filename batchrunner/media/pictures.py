"""Inspects and resizes picture files: everything that needs Pillow.

Pillow can't open heic, so only the first bytes of such a file are checked.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from batchrunner.core.model import Fit

if TYPE_CHECKING:
    from PIL import Image

HEAD = 32
"""How many bytes are needed to detect the type."""
_FORMATS = {
    "image/jpeg": ("JPEG", "MPO"),
    "image/png": ("PNG",),
    "image/webp": ("WEBP",),
    "image/gif": ("GIF",),
    "image/tiff": ("TIFF",),
    "image/bmp": ("BMP",),
}
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"})
_HEIF_BRANDS = frozenset({b"mif1", b"msf1"})
_MOST_PIXELS = 170_000_000
"""Maximum number of pixels to decode; Pillow's own limit is 178 million."""
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's name of the transposition that makes a picture upright, by EXIF orientation."""
_ON_ITS_SIDE = 5
"""The first EXIF orientation that swaps width and height."""
_QUALITIES = (92, 85, 75, 60)
_SHRINK = 0.8
_TAIL = 4096
"""How many bytes at the end of a file must contain its end marker."""

_one_at_a_time = threading.Lock()
"""One at a time: decoded pictures are large, and warning filters are global to the process."""


class BrokenPicture(Exception):
    """The file is not a complete picture; the message says what is wrong."""


class PictureFacts(NamedTuple):
    """What is known about a picture without decoding it."""

    width: int = 0
    """Pixels when upright; 0 if unknown."""
    height: int = 0
    upright: bool = True
    """Whether it is stored upright."""


def picture_type(head: bytes) -> str:
    """The MIME type of a picture, detected from its first bytes; empty if unknown."""
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if head.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if head.startswith(b"BM"):
        return "image/bmp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIC_BRANDS:
        return "image/heic"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "image/heif"
    return ""


def can_open(mime: str) -> bool:
    """Whether Pillow can open this type of picture."""
    return mime in _FORMATS


def inspect_picture(data: bytes, mime: str) -> PictureFacts:
    """Measure a picture; decode it only if its end looks truncated.

    Raises:
        BrokenPicture: it can't be decoded, or has too many pixels.
    """
    if not can_open(mime):
        return PictureFacts()
    with _opened(data, mime) as image:
        orientation = _orientation(image)
        width, height = image.size
        if width * height > _MOST_PIXELS:
            raise BrokenPicture(f"has {width} x {height} pixels, too many to open")
        if not _ends_well(data, mime):
            if mime == "image/jpeg" and not any(data[-_TAIL:]):  # the decoder would fill that with grey
                raise BrokenPicture("ends in zeros: the copy is incomplete")
            image.load()
            width, height = image.size
    if orientation >= _ON_ITS_SIDE and mime != "image/tiff":  # Pillow already turns tiffs upright on loading
        width, height = height, width
    return PictureFacts(width, height, orientation not in _TURNS)


def fitted(data: bytes, mime: str, fit: Fit) -> bytes:
    """Encode a picture as a jpeg, upright and within the bounds; deterministic.

    Transparent areas become white.

    Raises:
        BrokenPicture: it can't be decoded.
    """
    from PIL import Image  # noqa: PLC0415

    with _opened(data, mime) as image:
        side = fit.side
        upright = _upright(image, side)
        profile = image.info.get("icc_profile") if image.mode == upright.mode else None
        while True:
            for quality in _QUALITIES:
                out = io.BytesIO()
                upright.save(out, "JPEG", quality=quality, optimize=True, icc_profile=profile)
                if out.tell() <= fit.max_bytes:
                    return out.getvalue()
            side = int(side * _SHRINK)
            upright.thumbnail((side, side), Image.Resampling.LANCZOS)


def _upright(image: Image.Image, side: int) -> Image.Image:
    """Load the picture upright, with no side longer than `side`, in a colour mode that jpeg supports."""
    from PIL import Image  # noqa: PLC0415

    small = image
    if image.mode.startswith("I;16"):
        small = image.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    elif image.mode not in ("L", "LA", "RGB", "RGBA", "CMYK"):  # palettes resize badly
        small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    turn = _TURNS.get(_orientation(image))  # after loading, which turns tiffs
    if small.has_transparency_data:
        layered = small.convert("RGBA")
        small = Image.new("RGB", layered.size, "white")
        small.paste(layered, mask=layered.getchannel("A"))
    elif small.mode not in ("L", "RGB"):
        small = small.convert("RGB")
    return small.transpose(Image.Transpose[turn]) if turn else small


@contextmanager
def _opened(data: bytes, mime: str) -> Iterator[Image.Image]:
    from PIL import Image  # noqa: PLC0415  a tenth of the time that a manifest without pictures takes

    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS[mime]) as image:
                yield image
        except BrokenPicture:
            raise
        except Image.DecompressionBombError as error:
            raise BrokenPicture("has too many pixels to open") from error
        except Exception as error:  # Pillow's decoders may raise anything
            raise BrokenPicture("can't be decoded: it is damaged or incomplete") from error


def _orientation(image: Image.Image) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # reading it would decode the picture
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _ends_well(data: bytes, mime: str) -> bool:
    """Whether a file ends with its format's end marker; if not, only decoding can tell if it is complete."""
    match mime:
        case "image/jpeg":
            return b"\xff\xd9" in data[-_TAIL:]
        case "image/png":
            return b"IEND" in data[-_TAIL:]
        case "image/gif":
            return data.rstrip(b"\0").endswith(b";")
        case "image/webp":
            return len(data) >= int.from_bytes(data[4:8], "little") + 8
        case _:
            return False
