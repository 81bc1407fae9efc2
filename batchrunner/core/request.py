"""A request: its normalised form, its fingerprint, and the inputs in it.

A task is identified by its content. Two requests for the same video have the same fingerprint, however they
are written; fields that don't affect the video (`callback_url`, `execution_expires_after`) are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

from batchrunner.core.model import MediaFile, Request, RequestValue, TaskKey, TaskOutput

FINGERPRINT_VERSION = 1
DEFAULT_DURATION = 5
"""Seconds; the documented default of the API."""

NOT_IN_FINGERPRINT = frozenset({"callback_url", "execution_expires_after"})
_INPUTS = frozenset({"image", "images", "url"})
"""Keys whose value may be an input's data URI."""


def normalise(request: Request) -> dict[str, RequestValue]:
    """Convert a request to the canonical form that is hashed and stored.

    The duration is only in `metadata.duration` (5 if not set) or `metadata.frames`; the wire mapping expands
    it to the three equivalent fields again. None counts as absent.
    """
    result: dict[str, RequestValue] = {name: value for name, value in request.items() if value is not None}
    duration, seconds = result.pop("duration", None), result.pop("seconds", None)
    given = result.get("metadata")
    metadata = {k: v for k, v in given.items() if v is not None} if isinstance(given, Mapping) else {}
    if "frames" not in metadata:
        top = duration or (int(seconds) if isinstance(seconds, str) and seconds else None)
        metadata["duration"] = top or metadata.get("duration") or DEFAULT_DURATION
    elif metadata.get("duration") == 0:  # the same as not set
        del metadata["duration"]
    result["metadata"] = metadata
    return result


def duration_of(request: Request) -> int:
    """The seconds of a normalised request's video; 0 if they are left to the model, or given as frames."""
    metadata = request.get("metadata")
    duration = metadata.get("duration") if isinstance(metadata, Mapping) else None
    return duration if isinstance(duration, int) and duration > 0 else 0


def digest_form(value: RequestValue, is_input: bool = False) -> object:
    """The value as plain JSON, with local files and data URIs of inputs replaced by their hashes.

    What another task makes is identified by that task's key: it is part of the fingerprint of what needs it.
    """
    if isinstance(value, str):
        return {"data_uri_sha256": _data_digest(value)} if is_input and value.startswith("data:") else value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, MediaFile):
        return {"sha256": value.sha256}
    if isinstance(value, TaskOutput):
        return {"task": value.task, "part": value.part.value}
    if isinstance(value, Mapping):
        return {name: digest_form(item, name in _INPUTS) for name, item in value.items()}
    return [digest_form(item, is_input) for item in value]


@lru_cache(maxsize=16)
def _data_digest(uri: str) -> str:
    # one in the defaults is hashed for every task
    return hashlib.sha256(uri.encode()).hexdigest()


def canonical(request: Request) -> str:
    """The canonical JSON of everything that the fingerprint covers."""
    covered = {name: value for name, value in request.items() if name not in NOT_IN_FINGERPRINT}
    metadata = covered.get("metadata")
    if isinstance(metadata, Mapping):
        covered["metadata"] = {k: v for k, v in metadata.items() if k not in NOT_IN_FINGERPRINT}
    # without this, the encoder would keep data URIs as plain strings
    return _CANONICAL.encode(digest_form(covered) if has_inputs(covered) else covered)


def has_inputs(request: Request) -> bool:
    """Whether a request has input pictures, videos or audio."""
    metadata = request.get("metadata")
    has_content = isinstance(metadata, Mapping) and "content" in metadata
    return has_content or "image" in request or "images" in request


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=digest_form)


def fingerprint(request: Request, replica: int = 1) -> TaskKey:
    """`1-` and the SHA-256 of a normalised request; `replica` counts identical requests from 1."""
    return hashed(canonical(request), replica)


def hashed(text: str, replica: int = 1) -> TaskKey:
    """The fingerprint of a request's canonical text; `replica` counts identical requests from 1."""
    whole = text if replica == 1 else f"{text}#{replica}"
    return TaskKey(f"{FINGERPRINT_VERSION}-{hashlib.sha256(whole.encode()).hexdigest()}")


def inputs(request: Request) -> tuple[str, ...]:
    """The input files and URLs of a request, as the user wrote them; data URIs are cut after their header."""
    found: list[str] = []

    def look(value: RequestValue) -> None:
        if isinstance(value, MediaFile | TaskOutput):
            found.append(value.shown)
        elif isinstance(value, str):
            found.append(f"{value.partition(',')[0]},…" if value.startswith("data:") else value)
        elif isinstance(value, Mapping):
            for name in ("image_url", "video_url", "audio_url", "url"):
                look(value.get(name))
        elif isinstance(value, Sequence):
            for item in value:
                look(item)

    metadata = request.get("metadata")
    for value in (request.get("image"), request.get("images")):
        look(value)
    if isinstance(metadata, Mapping):
        look(metadata.get("content"))
    return tuple(found)
