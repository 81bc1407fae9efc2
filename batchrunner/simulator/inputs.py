"""The media of a request, as they reach the model. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchrunner.simulator.submission import ArkRequest


def media_of(ark: ArkRequest) -> Iterator[dict[str, Any]]:
    """Type, role and URL of each, in order; those in `content` replace top-level images."""
    items = [item for item in ark.get("content", []) if isinstance(item, dict)]
    content = [item for item in items if item.get("type") != "text"]
    if not content:
        for image in ark.images:
            yield {"type": "image_url", "role": None, "url": image}
    for item in content:
        holder = item.get(str(item.get("type")))
        url = holder.get("url") if isinstance(holder, dict) else None
        given = url if isinstance(url, str) else None
        yield {"type": item.get("type"), "role": item.get("role"), "url": given}


def first_frame(media: Sequence[Mapping[str, Any]]) -> Any:
    """The URL of the picture that the video begins with, or what the book keeps of it; None without one.

    An image without a role is a first frame, too.
    """
    images = [item for item in media if item["type"] == "image_url"]
    given = (item["url"] for role in ("first_frame", None) for item in images if item["role"] == role)
    return next(given, None)


def fingerprint(text: str) -> str:
    """The SHA-256 by which the book knows a data URI."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
