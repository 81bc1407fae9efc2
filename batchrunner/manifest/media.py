"""Local pictures: found, recognised and hashed when planning; read again, and compared, when sending."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from pathlib import Path

from batchrunner.core.model import MediaFile

MAX_BYTES = 30_000_000
_HEAD = 32
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(//)?")
_KNOWN_SCHEMES = frozenset({"http", "https", "data", "asset"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"})
_HEIF_BRANDS = frozenset({b"mif1", b"msf1"})
_TYPES_HINT = "the model takes jpeg, png, webp, bmp, tiff, gif and heic"


class MediaChanged(Exception):
    """A file no longer holds the bytes that were planned, or is gone; what is hashed is what is sent."""


class MediaFault(Exception):
    """A picture can't be sent."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def data_uri(media: MediaFile) -> str:
    """The picture as the API takes it.

    Raises:
        MediaChanged: its bytes are not those that were planned.
    """
    try:
        data = Path(media.path).read_bytes()
    except OSError as error:
        raise MediaChanged(f"{media.shown} can't be read any more: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != media.sha256:
        raise MediaChanged(f"{media.shown} was changed after it was planned")
    return f"data:{media.mime};base64,{base64.b64encode(data).decode()}"


class MediaFolder:
    """The pictures below a manifest's folder; each file is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = folder.resolve()
        self._files: dict[Path, tuple[str, str, int]] = {}

    def picture(self, written: str) -> str | MediaFile:
        """What stands where the API takes a picture: a URL as it is, or the file that is meant.

        Raises:
            MediaFault: it is neither.
        """
        scheme = _SCHEME.match(written)
        if scheme and scheme.group(1).lower() in _KNOWN_SCHEMES:
            if scheme.group(1).lower() == "data":
                _check_data_uri(written)
            return written
        if scheme and scheme.group(2):
            message = f"`{scheme.group()}` is no address that the model can fetch"
            raise MediaFault(message, "give an https URL, or a file beside the manifest")
        path = self._resolve(written)
        if path not in self._files:
            self._files[path] = _read(path, written)
        sha256, mime, size = self._files[path]
        return MediaFile(str(path), written, sha256, mime, size)

    def _resolve(self, written: str) -> Path:
        try:
            path = inside(self._folder, self._root, written)
        except (OSError, ValueError, RuntimeError) as error:
            raise MediaFault(
                f"{written!r} is no usable path", "give the path of a picture, or its URL"
            ) from error
        if path is None:
            message = f"{written} lies outside the manifest's folder"
            raise MediaFault(message, "move it beside the manifest, or write its absolute path")
        return path


def inside(folder: Path, root: Path, written: str) -> Path | None:
    """The file that a manifest in `folder` means; None where it leaves `root` without being absolute.

    Raises:
        OSError, ValueError, RuntimeError: the path can't be followed.
    """
    path = (folder / written).resolve()
    return path if Path(written).is_absolute() or path.is_relative_to(root) else None


def _read(path: Path, written: str) -> tuple[str, str, int]:
    """SHA-256, MIME type and size of a picture.

    Raises:
        MediaFault: it isn't one, or can't be read.
    """
    try:
        if path.is_dir():
            raise MediaFault(f"{written} is a folder", "give a picture in it")
        if not path.exists():
            raise MediaFault(f"there is no file {written}", "correct the path, or add the file")
        if not path.is_file():
            raise MediaFault(f"{written} is no ordinary file", "give a picture")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        hint = "let the runner read it"
        raise MediaFault(f"{written} can't be read: {error.strerror}", hint) from error
    if not data:
        raise MediaFault(f"{written} is empty", "was it copied to its end?")
    if len(data) > MAX_BYTES:
        raise MediaFault(f"{written} is over {MAX_BYTES // 1_000_000} MB", "make the picture smaller")
    mime = picture_type(data[:_HEAD])
    if not mime:
        raise MediaFault(f"{written} is not a picture that the model takes", _TYPES_HINT)
    return hashlib.sha256(data).hexdigest(), mime, len(data)


def picture_type(head: bytes) -> str:
    """The MIME type that the first bytes of a file stand for; empty where they are no picture's."""
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


def _check_data_uri(uri: str) -> None:
    """The start of its content must be what its MIME type says; the rest is checked with the other limits."""
    head, _, content = uri.partition(",")
    try:
        begin = base64.b64decode(content[: _HEAD // 3 * 4], validate=True)
    except binascii.Error as error:
        raise MediaFault(
            "the content of this data URI is not base64", "encode it again, without line breaks"
        ) from error
    mime = picture_type(begin)
    if not mime:
        raise MediaFault("this data URI holds no picture that the model takes", _TYPES_HINT)
    named = head.removeprefix("data:").partition(";")[0]
    if named.startswith("image/") and named != mime and {named, mime} != {"image/heic", "image/heif"}:
        raise MediaFault(f"this data URI says {named}, and holds {mime}", f"write data:{mime};base64,")
