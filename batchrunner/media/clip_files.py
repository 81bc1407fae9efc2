"""What makes the file of a video or sound sendable, wherever it is: its type and its size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePath

from batchrunner.core.model import MediaFile
from batchrunner.core.rules.inputs import InputLimits
from batchrunner.media.picture_files import MediaFault
from batchrunner.media.pictures import HEAD

SOUNDS = "the model accepts wav and mp3"
_VIDEOS = "the model accepts mp4 and mov"
_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_ENDINGS = {"video/mp4": (".mp4", ".mov"), "audio/wav": (".wav",), "audio/mpeg": (".mp3",)}


def sound_type(head: bytes) -> str:
    """The MIME type of a sound, detected from its first bytes; empty if unknown."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "audio/wav"
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return "audio/mpeg"
    return ""


def video_type(head: bytes) -> str:
    """The MIME type of an mp4 or mov, detected from its first bytes; empty if it is neither."""
    return "video/mp4" if head[4:8] in _ATOMS else ""


_CLIPS: dict[str, tuple[str, Callable[[bytes], str], str]] = {
    "video": ("a video", video_type, _VIDEOS),
    "audio": ("an audio file", sound_type, SOUNDS),
}


def check_clip(shown: str, kind: str, head: bytes, size: int, limits: InputLimits) -> str:
    """Check a video or sound by its first bytes and its size; return its MIME type.

    Raises:
        MediaFault: it can't be sent.
    """
    what, type_of, hint = _CLIPS[kind]
    if not size:
        raise MediaFault(f"{shown} is empty", "was the copy interrupted?")
    mime = type_of(head)
    if not mime:
        raise MediaFault(f"{shown} is not {what} that the model accepts", hint)
    if size > (most := limits.most_bytes[kind]):
        raise MediaFault(f"{shown} is over {most // 1_000_000} MB", "make it smaller")
    return mime


def read_clip(path: Path, shown: str, kind: str, limits: InputLimits) -> MediaFile:
    """A video or sound on this machine, with its hash.

    Raises:
        MediaFault: it can't be sent.
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        mime = check_clip(shown, kind, file.read(HEAD), size, limits)
        file.seek(0)
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return MediaFile(str(path), shown, sha256, mime, size)


def stored_name(clip: MediaFile) -> str:
    """The name under which a local video or sound is stored in a bucket: its content's own."""
    ending, usual = PurePath(clip.path).suffix.lower(), _ENDINGS[clip.mime]
    return f"inputs/{clip.sha256}{ending if ending in usual else usual[0]}"
