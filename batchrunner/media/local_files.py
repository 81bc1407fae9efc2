"""Media files: identified and hashed when planning, read again and compared when sending."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from batchrunner.core.model import Fit, MediaFile
from batchrunner.core.object_url import is_object_url
from batchrunner.core.rules.inputs import InputLimits
from batchrunner.core.rules.picture_sizes import check_measures
from batchrunner.core.text import is_text
from batchrunner.media.clip_files import SOUNDS, check_clip, read_clip, sound_type, stored_name
from batchrunner.media.missing import missing
from batchrunner.media.objects import Objects, OpenObjects
from batchrunner.media.picture_files import PICTURES, MediaFault, PictureFile, PictureRules
from batchrunner.media.pictures import HEAD, BrokenPicture, fitted, inspect_picture, picture_type

_A_CLIP = {"video": "video", "audio": "sound"}
_HEAD_OF_URI = 100
"""The longest prefix of a data URI, in characters, before its content."""
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(//)?")
_KNOWN_SCHEMES = frozenset({"http", "https", "data", "asset", "task"})
_SAME = (frozenset({"image/heic", "image/heif"}), frozenset({"audio/mpeg", "audio/mp3"}))
"""Aliases of MIME types."""


class MediaChanged(Exception):
    """A file can't be sent as planned: it has changed, is gone, or its smaller copy can't be made."""


def data_uri(media: MediaFile, read: bytes | None = None) -> str:
    """The picture as a data URI for the API, resized if that was planned.

    `read` is its content if it is not a local file.

    Raises:
        MediaChanged: the file no longer matches its hash.
    """
    data, mime = as_planned(media, read), media.mime
    if media.fit:
        try:
            data, mime = fitted(data, mime, media.fit), "image/jpeg"
        except BrokenPicture as error:
            raise MediaChanged(f"{media.shown} {error}") from error
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


def as_planned(media: MediaFile, read: bytes | None = None) -> bytes:
    """The bytes that were hashed, `read` or in the file; refuse anything that has replaced them.

    Raises:
        MediaChanged: the file was replaced or can't be read.
    """
    data = _in_file(media) if read is None else read
    if hashlib.sha256(data).hexdigest() != media.sha256:
        raise MediaChanged(f"{media.shown} has changed since it was planned")
    return data


def _in_file(media: MediaFile) -> bytes:
    """The content of a file; nothing if it is no longer a file of the same size.

    Raises:
        MediaChanged: it can't be read.
    """
    try:
        # Opening a FIFO would wait for a writer, and reading a device would never end.
        fd = os.open(media.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            facts = os.fstat(fd)
            is_same = stat.S_ISREG(facts.st_mode) and facts.st_size == media.size
            return file.read(media.size + 1) if is_same else b""
    except OSError as error:
        raise MediaChanged(f"{media.shown} can no longer be read: {error.strerror}") from error


class MediaFolder:
    """The media files of a manifest, on this machine and in buckets; each file is read once."""

    def __init__(
        self,
        folder: Path,
        limits: InputLimits,
        fit: Fit | None = None,
        objects: OpenObjects | None = None,
        uploads: str = "",
    ) -> None:
        """`fit` says how pictures that are too large are resized; `objects` opens what is in buckets.

        `uploads` is the URL of the place in a bucket where local videos and sounds are stored; empty if there
        is none.
        """
        self._folder = folder
        self._root = folder.resolve()
        self._rules = PictureRules(limits, fit)
        self._objects, self._uploads = objects, uploads
        self._clips: dict[tuple[Path, str], MediaFile] = {}
        self._files: dict[Path, PictureFile] = {}
        self._uris: dict[bytes, MediaFault | None] = {}
        """The fault of each data URI, by the hash of its text."""

    def prepare(self, inputs: Iterable[tuple[str, str]]) -> None:
        """Read what is in buckets, many at once; each input has its kind first."""
        kinds = {written: kind for kind, written in inputs if is_object_url(written)}
        if kinds and self._objects:
            self._objects().prepare(kinds, self._rules)

    def picture(self, written: str) -> str | MediaFile:
        """Resolve an input: a URL is returned as is, a path or an object in a bucket as its file.

        Raises:
            MediaFault: it is neither, or the file can't be sent.
        """
        scheme = _SCHEME.match(written)
        if scheme and scheme.group(1).lower() in _KNOWN_SCHEMES:
            if scheme.group(1).lower() == "data":
                self._check_data_uri(written)
            return written
        if is_object_url(written):
            return self._rules.to_send(self._in_bucket().picture(written, self._rules), written, written)
        if scheme and scheme.group(2):
            message = f"the model can't fetch from `{scheme.group()}`"
            raise MediaFault(message, "use an https URL, or a file beside the manifest")
        path = self._resolve(written)
        facts = self._files.get(path)
        if facts is None:
            facts = self._files[path] = self._read(path, written)
        return self._rules.to_send(facts, str(path), written)

    def check_clip(self, url: str, kind: str) -> str:
        """Check a video or sound in a bucket; return the host in the links to it.

        Raises:
            MediaFault: it can't be read, or not be sent.
        """
        size, head = self._in_bucket().head(url)
        check_clip(url, kind, head, size, self._rules.limits)
        return self._in_bucket().host(url)

    def clip(self, written: str, kind: str) -> tuple[MediaFile, str] | None:
        """A video or sound on this machine, and the host in the links to it once it is stored.

        None if it is not written as a file, or if nothing can be stored.

        Raises:
            MediaFault: it can't be read, or not be sent.
        """
        if not self._uploads or _SCHEME.match(written):
            return None
        path = self._resolve(written)
        clip = self._clips.get((path, kind))
        if clip is None:
            with self._reading(path, written, _A_CLIP[kind]):
                clip = self._clips[path, kind] = read_clip(path, written, kind, self._rules.limits)
        place = f"{self._uploads}/{stored_name(clip)}"
        return replace(clip, shown=written), self._in_bucket().host(place)

    def _in_bucket(self) -> Objects:
        if self._objects is None:
            raise MediaFault("buckets can't be read here", "use an https URL, or a file beside the manifest")
        return self._objects()

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
            for finding in check_measures((), media, self._rules.limits):
                # the `images` section only applies to files
                raise MediaFault(finding.message, finding.hint.partition(", or add `images")[0])

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

    def _read(self, path: Path, written: str) -> PictureFile:
        """Identify a picture's content.

        Raises:
            MediaFault: it can't be read.
        """
        with self._reading(path, written, "picture"):
            with path.open("rb") as file:
                head = file.read(HEAD)
            refused = self._rules.refused(head, path.stat().st_size)
            return refused or self._rules.inspected(path.read_bytes())

    @contextmanager
    def _reading(self, path: Path, written: str, what: str) -> Iterator[None]:
        """Check that there is a file; errors while it is read become faults.

        Raises:
            MediaFault: there is none, or it can't be read.
        """
        try:
            if path.is_dir():
                raise MediaFault(f"{written} is a folder", f"use a {what} in it")
            if not path.exists():
                raise MediaFault(*missing(self._folder, written))
            if not path.is_file():
                raise MediaFault(f"{written} is not a regular file", f"use a {what} file")
            yield
        except OSError as error:
            hint = "check its permissions"
            raise MediaFault(f"{written} can't be read: {error.strerror}", hint) from error


def inside(folder: Path, root: Path, written: str) -> Path | None:
    """Resolve a path relative to `folder`; None if a relative path leaves `root`.

    Raises:
        OSError, ValueError, RuntimeError: the path can't be resolved.
    """
    path = (folder / written).resolve()
    return path if Path(written).is_absolute() or path.is_relative_to(root) else None


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
    mime, what, hint = picture_type(data[:HEAD]), "picture", PICTURES
    if kind == "audio":
        mime, what, hint = sound_type(data[:HEAD]), "audio file", SOUNDS
    if not mime:
        raise MediaFault(f"this data URI is not a supported {what}", hint)
    named = head.removeprefix("data:").partition(";")[0]
    if named.startswith(f"{kind}/") and named != mime and {named, mime} not in _SAME:
        raise MediaFault(f"this data URI is declared {named} but contains {mime}", f"use data:{mime};base64,")
    return data, mime
