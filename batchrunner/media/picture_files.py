"""What makes the file of a picture sendable, wherever it is: its type, its size, and whether it is whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from batchrunner.core.model import Fit, MediaFile
from batchrunner.core.rules.inputs import InputLimits
from batchrunner.media.pictures import (
    HEAD,
    BrokenPicture,
    PictureFacts,
    can_open,
    inspect_picture,
    picture_type,
)

PICTURES = "the model accepts jpeg, png, webp, bmp, tiff, gif and heic"
_MOST_TO_FIT = 300_000_000
"""The largest file, in bytes, that is resized."""
_UNSEEN = PictureFacts()


class MediaFault(Exception):
    """A picture, video or sound can't be sent."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@dataclass(frozen=True, slots=True)
class PictureFile:
    """What is known about a file; `wrong` says why it can't be sent, without its name."""

    sha256: str = ""
    mime: str = ""
    size: int = 0
    facts: PictureFacts = _UNSEEN
    wrong: str = ""
    hint: str = ""


class PictureRules:
    """The rules for the pictures of one manifest."""

    def __init__(self, limits: InputLimits, fit: Fit | None = None) -> None:
        """`fit` says how pictures that are too large are resized."""
        self.limits, self._fit = limits, fit

    def refused(self, head: bytes, size: int) -> PictureFile | None:
        """A file that can't be sent, judging by its first bytes and its size; None if it must be read."""
        if not head:
            return PictureFile(wrong="is empty", hint="was the copy interrupted?")
        mime = picture_type(head[:HEAD])
        if not mime:
            return PictureFile(wrong="is not a picture format that the model accepts", hint=PICTURES)
        return self.too_large(mime, size)

    def too_large(self, mime: str, size: int) -> PictureFile | None:
        """A file that is too large to be sent; None if it isn't."""
        most = _MOST_TO_FIT if self._fit and can_open(mime) else self.limits.most_bytes["image"]
        if size <= most:
            return None
        hint = "make the picture smaller"
        if not self._fit and can_open(mime):
            hint += ", or add `images: {max_bytes: 8MB}` at the top level of the manifest"
        return PictureFile(wrong=f"is over {most // 1_000_000} MB", hint=hint)

    def inspected(self, data: bytes) -> PictureFile:
        """A file that was not refused, with all of its content."""
        mime = picture_type(data[:HEAD])
        try:
            facts = inspect_picture(data, mime)
        except BrokenPicture as error:
            return PictureFile(wrong=str(error), hint="copy it again, or open it in a viewer and save it")
        return PictureFile(hashlib.sha256(data).hexdigest(), mime, len(data), facts)

    def to_send(self, file: PictureFile, path: str, shown: str) -> MediaFile:
        """The file as an input at `path`, `shown` as the user wrote it.

        Raises:
            MediaFault: it can't be sent.
        """
        if file.wrong:
            raise MediaFault(f"{shown} {file.wrong}", file.hint)
        width, height, _ = file.facts
        return MediaFile(path, shown, file.sha256, file.mime, file.size, width, height, self._fit_for(file))

    def _fit_for(self, file: PictureFile) -> Fit | None:
        if self._fit is None or not can_open(file.mime):
            return None
        side = max(file.facts.width, file.facts.height)
        is_large = side > self._fit.side or file.size > self._fit.max_bytes
        return self._fit if is_large or not file.facts.upright else None
