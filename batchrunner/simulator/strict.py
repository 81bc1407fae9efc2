"""Rejects what the real model is known to reject, for `strict` scenarios: api/seedance.md, 2 and 3. Pure."""

import base64
import binascii
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from batchrunner.simulator.refusal import upstream
from batchrunner.simulator.submission import ArkRequest

_KINDS = {"image_url": "image", "video_url": "video", "audio_url": "audio"}
_MOST = {"image_url": 9, "video_url": 3, "audio_url": 3}
_ROLES = {
    "image_url": ("first_frame", "last_frame", "reference_image"),
    "video_url": ("reference_video",),
    "audio_url": ("reference_audio",),
}
_TYPES = {
    "image": ("jpeg", "png", "webp", "bmp", "tiff", "gif", "heic", "heif"),
    "audio": ("wav", "mp3", "mpeg"),
}
_DATA = re.compile(r"data:(image|audio)/([a-z0-9.+-]+);base64,")


def refuse(model: str, ark: ArkRequest) -> None:
    """Raise Denied (400 InvalidParameter) if the model would reject the request."""
    name = _wrong_setting(model, ark) or _wrong_input(ark)
    if name:
        text = f"The parameter `{name}` specified in the request is not valid."
        raise upstream(400, "InvalidParameter", text, "BadRequest")


def _wrong_setting(model: str, ark: ArkRequest) -> str:
    length = ark.get("duration", 5)
    refused = {
        "resolution": ark.get("resolution", "") == "1080p" and model.endswith("-fast"),
        "frames": ark.get("frames", 0) != 0,
        "draft": ark.get("draft", False),
        "camera_fixed": ark.get("camera_fixed", False),
        "service_tier": ark.get("service_tier", "default") != "default",
        "seed": not -1 <= ark.get("seed", -1) <= 2**31 - 1,
        "execution_expires_after": not 3600 <= ark.get("execution_expires_after", 172_800) <= 259_200,
        "duration": length not in (-1, 0) and not 4 <= length <= 15,
    }
    return next((name for name, is_refused in refused.items() if is_refused), "")


def _wrong_input(ark: ArkRequest) -> str:
    content: Sequence[Any] = ark.get("content", ())
    if not content:
        is_wrong = len(ark.images) > 1 or not all(_is_source(url, "image") for url in ark.images)
        return "content" if is_wrong else ""
    if ark.images or not all(_is_item(item) for item in content):
        return "content"
    inputs = [item for item in content if item["type"] != "text"]
    return "content" if _are_too_many(inputs) or _is_no_scenario(inputs) else ""


def _is_item(item: object) -> bool:
    """Whether an item of `content` has a known type, the input for it, and a matching role."""
    if not isinstance(item, Mapping):
        return False
    kind, role = item.get("type"), item.get("role")
    if kind == "text":
        return isinstance(item.get("text"), str)
    if kind not in _KINDS or (role is not None and role not in _ROLES[kind]):
        return False
    holder = item.get(kind)
    return isinstance(holder, Mapping) and _is_source(holder.get("url"), _KINDS[kind])


def _are_too_many(inputs: Sequence[Mapping[str, Any]]) -> bool:
    counts = Counter(item["type"] for item in inputs)
    return any(counts[kind] > most for kind, most in _MOST.items())


def _is_no_scenario(inputs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the inputs are neither a first frame, nor a first and a last frame, nor references."""
    roles = Counter(item.get("role") for item in inputs)
    kinds = {item["type"] for item in inputs}
    if roles["first_frame"] > 1 or roles["last_frame"] > 1 or roles["last_frame"] > roles["first_frame"]:
        return True
    if roles["first_frame"]:
        return len(inputs) > roles["first_frame"] + roles["last_frame"]
    without_role = any(item["type"] == "image_url" and item.get("role") is None for item in inputs)
    return kinds == {"audio_url"} or (without_role and len(inputs) > 1)


def _is_source(url: object, kind: str) -> bool:
    """Whether the model could read this input: an absolute URL, an asset, or a data URI of this kind."""
    if not isinstance(url, str) or re.search(r"\s", url):
        return False
    if url.startswith("asset://"):
        return len(url) > len("asset://")
    found = _DATA.match(url)
    if found is None:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    if found[1] != kind or found[2] not in _TYPES[kind]:
        return False
    try:
        return bool(base64.b64decode(url[found.end() :], validate=True))
    except binascii.Error:
        return False
