"""The kind of a task: what its video has in common with those of similar tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_INPUT_TYPES = ("image_url", "video_url", "audio_url")


class Kind(NamedTuple):
    """Tasks of one kind take about the same time and cost about the same."""

    model: str
    shape: str = ""
    """Resolution, ratio, length and type of input, as far as given: `720p, 16:9, 5 s, first_frame`."""

    def __str__(self) -> str:
        return ", ".join(filter(None, self))


def kind_of(request: Mapping[str, object]) -> Kind:
    """The kind of a normalised request."""
    given = request.get("metadata")
    metadata = given if isinstance(given, Mapping) else {}
    parts = [metadata.get("resolution"), metadata.get("ratio"), _length(metadata), _inputs(request, metadata)]
    return Kind(str(request.get("model", "")), ", ".join(str(part) for part in parts if part))


def _length(metadata: Mapping[str, object]) -> str:
    if "frames" in metadata:
        return f"{metadata['frames']} frames"
    duration = metadata.get("duration")
    return "any length" if duration == -1 else f"{duration} s" if duration else ""


def _inputs(request: Mapping[str, object], metadata: Mapping[str, object]) -> str:
    """The roles of all inputs, or what they are; empty for a prompt alone."""
    found = {"image" for field in ("image", "images") if request.get(field)}
    content = metadata.get("content")
    if isinstance(content, Sequence) and not isinstance(content, str):
        for item in content:
            if isinstance(item, Mapping) and any(name in item for name in _INPUT_TYPES):
                found.add(str(item.get("role") or item.get("type")))
    return " + ".join(sorted(found))
