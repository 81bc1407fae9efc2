"""Local media files: identified and hashed when planning, read again and compared when sending."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from batchrunner.core.model import Fit, MediaFile
from batchrunner.core.rules.inputs import InputLimits
from batchrunner.core.rules.picture_sizes import check_measures
from batchrunner.core.text import is_text
from batchrunner.media.missing import missing
from batchrunner.media.pictures import (
    HEAD,
    BrokenPicture,
    PictureFacts,
    can_open,
    fitted,
    inspect_picture,
    picture_type,
)

_MOST_TO_FIT = 300_000_000
"""The largest file, in bytes, that is resized."""
_HEAD_OF_URI = 100
"""The longest prefix of a data URI, in characters, before its content."""
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(//)?")
_KNOWN_SCHEMES = frozenset({"http", "https", "data", "asset", "task"})
_PICTURES = "the model accepts jpeg, png, webp, bmp, tiff, gif and heic"
_SOUNDS = "the model accepts wav and mp3"
_SAME = (frozenset({"image/heic", "image/heif"}), frozenset({"audio/mpeg", "audio/mp3"}))
"""Aliases of MIME types."""


class MediaChanged(Exception):
    """A file can't be sent as planned: it has changed, is gone, or its smaller copy can't be made."""


class MediaFault(Exception):
    """A picture or sound can't be sent."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def data_uri(media: MediaFile) -> str:
    """The picture as a data URI for the API, resized if that was planned.

    Raises:
        MediaChanged: the file no longer matches its hash.
    """
    data, mime = _as_planned(media), media.mime
    if media.fit:
        try:
            data, mime = fitted(data, mime, media.fit), "image/jpeg"
        except BrokenPicture as error:
            raise MediaChanged(f"{media.shown} {error}") from error
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def _as_planned(media: MediaFile) -> bytes:
    """Read the bytes that were hashed; refuse anything that has replaced them.

    Raises:
        MediaChanged: the file was replaced or can't be read.
    """
    try:
        # Opening a FIFO would wait for a writer, and reading a device would never end.
        fd = os.open(media.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            facts = os.fstat(fd)
            is_same = stat.S_ISREG(facts.st_mode) and facts.st_size == media.size
            data = file.read(media.size + 1) if is_same else b""
    except OSError as error:
        raise MediaChanged(f"{media.shown} can no longer be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != media.sha256:
        raise MediaChanged(f"{media.shown} has changed since it was planned")
    return data


_UNSEEN = PictureFacts()


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known about a file; `wrong` says why it can't be sent, without its name."""

    sha256: str = ""
    mime: str = ""
    size: int = 0
    inspect_picture: PictureFacts = _UNSEEN
    wrong: str = ""
    hint: str = ""


class MediaFolder:
    """The local files of a manifest; each file is read once."""

    def __init__(self, folder: Path, limits: InputLimits, fit: Fit | None = None) -> None:
        """`fit` says how pictures that are too large are resized."""
        self._folder = folder
        self._root = folder.resolve()
        self._limits = limits
        self._fit = fit
        self._files: dict[Path, _Facts] = {}
        self._uris: dict[bytes, MediaFault | None] = {}
        """The fault of each data URI, by the hash of its text."""

    def picture(self, written: str) -> str | MediaFile:
        """Resolve an input: a URL is returned as is, a path as its file.

        Raises:
            MediaFault: it is neither, or the file can't be sent.
        """
        scheme = _SCHEME.match(written)
        if scheme and scheme.group(1).lower() in _KNOWN_SCHEMES:
            if scheme.group(1).lower() == "data":
                self._check_data_uri(written)
            return written
        if scheme and scheme.group(2):
            message = f"the model can't fetch from `{scheme.group()}`"
            raise MediaFault(message, "use an https URL, or a file beside the manifest")
        path = self._resolve(written)
        facts = self._files.get(path)
        if facts is None:
            facts = self._files[path] = self._read(path, written)
        if facts.wrong:
            raise MediaFault(f"{written} {facts.wrong}", facts.hint)
        width, height, _ = facts.inspect_picture
        return MediaFile(
            str(path), written, facts.sha256, facts.mime, facts.size, width, height, self._fit_for(facts)
        )

    def _check_data_uri(self, uri: str) -> None:
        key = hashlib.sha256(uri.encode()).digest()
        if key not in self._uris:
            self._uris[key] = None
            try:
                self._look_into(uri)
            except MediaFault as fault:
                self._uris[key] = fault
        if fault_before := self._uris[key]:
            raise fault_before

    def _look_into(self, uri: str) -> None:
        """Check a data URI by the same rules as a file.

        Raises:
            MediaFault: it breaks them.
        """
        data, mime = check_data_uri(uri, "image")
        if ";base64," not in uri[:_HEAD_OF_URI]:
            return  # reported elsewhere
        try:
            seen = inspect_picture(data, mime)
        except BrokenPicture as error:
            raise MediaFault(f"the picture in this data URI {error}", "encode it again") from error
        if seen.width and seen.height:
            shown = "the picture in this data URI"
            media = MediaFile("", shown, "", mime, len(data), seen.width, seen.height)
            for finding in check_measures((), media, self._limits):
                # the `images` section only applies to files
                raise MediaFault(finding.message, finding.hint.partition(", or add `images")[0])

    def _fit_for(self, facts: _Facts) -> Fit | None:
        if self._fit is None or not can_open(facts.mime):
            return None
        side = max(facts.inspect_picture.width, facts.inspect_picture.height)
        is_large = side > self._fit.side or facts.size > self._fit.max_bytes
        return self._fit if is_large or not facts.inspect_picture.upright else None

    def _resolve(self, written: str) -> Path:
        try:
            path = inside(self._folder, self._root, written)
        except (OSError, ValueError, RuntimeError) as error:
            raise MediaFault(
                f"{written!r} is not a valid path", "use the path or URL of a picture"
            ) from error
        if path is None:
            message = f"{written} is outside the manifest's folder"
            raise MediaFault(message, "move it beside the manifest, or use its absolute path")
        if not is_text(str(path)):  # `written` is a symlink to it
            raise MediaFault(f"the name of the file {str(path)!r} is not valid text", "rename it")
        return path

    def _read(self, path: Path, written: str) -> _Facts:
        """Identify a file's content.

        Raises:
            MediaFault: it can't be read.
        """
        try:
            if path.is_dir():
                raise MediaFault(f"{written} is a folder", "use a picture in it")
            if not path.exists():
                raise MediaFault(*missing(self._folder, written))
            if not path.is_file():
                raise MediaFault(f"{written} is not a regular file", "use a picture file")
            return self._facts(path)
        except OSError as error:
            hint = "check its permissions"
            raise MediaFault(f"{written} can't be read: {error.strerror}", hint) from error

    def _facts(self, path: Path) -> _Facts:
        with path.open("rb") as file:
            head = file.read(HEAD)
        if not head:
            return _Facts(wrong="is empty", hint="was the copy interrupted?")
        mime = picture_type(head)
        if not mime:
            return _Facts(wrong="is not a picture format that the model accepts", hint=_PICTURES)
        most = _MOST_TO_FIT if self._fit and can_open(mime) else self._limits.most_bytes["image"]
        if path.stat().st_size > most:
            hint = "make the picture smaller"
            if not self._fit and can_open(mime):
                hint += ", or add `images: {max_bytes: 8MB}` at the top level of the manifest"
            return _Facts(wrong=f"is over {most // 1_000_000} MB", hint=hint)
        data = path.read_bytes()
        try:
            seen = inspect_picture(data, mime)
        except BrokenPicture as error:
            return _Facts(wrong=str(error), hint="copy it again, or open it in a viewer and save it")
        return _Facts(hashlib.sha256(data).hexdigest(), mime, len(data), seen)


def inside(folder: Path, root: Path, written: str) -> Path | None:
    """Resolve a path relative to `folder`; None if a relative path leaves `root`.

    Raises:
        OSError, ValueError, RuntimeError: the path can't be resolved.
    """
    path = (folder / written).resolve()
    return path if Path(written).is_absolute() or path.is_relative_to(root) else None


def sound_type(head: bytes) -> str:
    """The MIME type of a sound, detected from its first bytes; empty if unknown."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return "audio/mpeg"
    return ""


def check_data_uri(uri: str, kind: str) -> tuple[bytes, str]:
    """A data URI's content and its detected MIME type; sizes are not checked.

    Raises:
        MediaFault: it is not base64, not a supported type, or not the declared one.
    """
    head, _, content = uri.partition(",")
    try:
        data = base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise MediaFault(
            "the content of this data URI is not base64", "encode it again, without line breaks"
        ) from error
    mime, what, hint = picture_type(data[:HEAD]), "picture", _PICTURES
    if kind == "audio":
        mime, what, hint = sound_type(data[:HEAD]), "audio file", _SOUNDS
    if not mime:
        raise MediaFault(f"this data URI is not a supported {what}", hint)
    named = head.removeprefix("data:").partition(";")[0]
    if named.startswith(f"{kind}/") and named != mime and {named, mime} not in _SAME:
        raise MediaFault(f"this data URI is declared {named} but contains {mime}", f"use data:{mime};base64,")
    return data, mime
