"""Worst-case estimates for a task before it is submitted: tokens and disk space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

from batchrunner.core.budget import WorstCase
from batchrunner.core.model import Pricing, Request
from batchrunner.core.request import normalise
from batchrunner.core.rules.inputs import located
from batchrunner.core.rules.limits import Limits

T = TypeVar("T")
_OVERHEAD_BYTES = 1_000_000  # audio, index and everything else in the file


REFERENCE_CURRENCY = "USD"
"""The currency of the list prices that count where the manifest has no `pricing`."""


def worst_case(request: Request, limits: Limits, pricing: Pricing) -> WorstCase:
    """The most that one attempt at the request can be charged."""
    most = tokens(request, limits)
    price = price_of(request, limits, pricing)
    return WorstCase(most, None if price is None else most * price / 1_000_000)


def price_of(request: Request, limits: Limits, pricing: Pricing) -> float | None:
    """The price of a million tokens: the manifest's, else the list price in its currency; None if unknown."""
    model = str(request.get("model"))
    own = pricing.per_million_tokens.get(model)
    if own is not None:
        return own
    body = normalise(request)
    metadata = _metadata(body)
    listed = limits.reference_prices.get(model, {}).get(pricing.currency or REFERENCE_CURRENCY, {})
    prices = listed.get(str(metadata.get("resolution", limits.default_resolution)))
    return None if prices is None else prices[_has_video(body, metadata)]


def unpriced(requests: Iterable[Request], limits: Limits, pricing: Pricing) -> str:
    """A model among these requests that has no price; empty if each has one."""
    return next((str(one.get("model")) for one in requests if price_of(one, limits, pricing) is None), "")


def tokens(request: Request, limits: Limits) -> int:
    """The most tokens that can be charged for the request: `floor(frames * width * height / 1024)`.

    A video of d seconds has 24 * d + 1 frames (measured). The duration of an input video counts too, and the
    longest allowed is assumed; `duration: -1` counts as the longest that the model makes.
    """
    body = normalise(request)
    metadata = _metadata(body)
    frames = _frames(metadata, limits)
    if _has_video(body, metadata):
        # derived from actual bills: at least 5/3 of the output is charged
        least = math.ceil(5 * (frames - 1) / (3 * limits.fps)) * limits.fps + 1
        frames = max(frames + limits.longest_input_video * limits.fps, least)
    return frames * _area(metadata, limits) // 1024


def left_open(request: Request, limits: Limits) -> list[str]:
    """What the request leaves to the model, so that less than the worst case may be charged."""
    body = normalise(request)
    metadata = _metadata(body)
    found = ["the length"] if _leaves_length(metadata) else []
    if str(metadata.get("ratio", limits.default_ratio)) not in _by_resolution(limits.sizes, metadata, limits):
        found.append("the ratio")
    return [*found, "the length of input videos"] if _has_video(body, metadata) else found


def video_bytes(request: Request, limits: Limits) -> int:
    """A rough upper bound for the video's size on disk."""
    metadata = _metadata(normalise(request))
    bits = _by_resolution(limits.max_bitrate, metadata, limits) * 1_000_000
    return int(_frames(metadata, limits) / limits.fps * bits / 8) + _OVERHEAD_BYTES


def has_video(request: Request) -> bool:
    """Whether a normalised request has an input video, which is charged, too."""
    return _has_video(request, _metadata(request))


def _has_video(request: Request, metadata: Request) -> bool:
    return any(kind == "video" for _, kind, _ in located(request, metadata))


def _metadata(request: Request) -> Request:
    metadata = request.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _frames(metadata: Request, limits: Limits) -> int:
    frames, duration = metadata.get("frames"), metadata.get("duration")
    if isinstance(frames, int):
        return frames
    seconds = duration if isinstance(duration, int) and duration > 0 else limits.longest_auto
    return limits.fps * seconds + 1


def _leaves_length(metadata: Request) -> bool:
    duration = metadata.get("duration")
    return "frames" not in metadata and not (isinstance(duration, int) and duration > 0)


def _area(metadata: Request, limits: Limits) -> int:
    """Pixels per frame; of the largest size if the ratio is not fixed."""
    sizes = _by_resolution(limits.sizes, metadata, limits)
    ratio = str(metadata.get("ratio", limits.default_ratio))
    width, height = sizes.get(ratio) or max(sizes.values(), key=lambda size: size[0] * size[1])
    return width * height


def _by_resolution(table: Mapping[str, T], metadata: Request, limits: Limits) -> T:
    return table[str(metadata.get("resolution", limits.default_resolution))]
