"""Worst-case estimates for a task before it is submitted: tokens and disk space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from batchrunner.core.budget import WorstCase
from batchrunner.core.model import Pricing, Request, RequestValue, TaskOutput
from batchrunner.core.request import normalise
from batchrunner.core.rules.inputs import located
from batchrunner.core.rules.limits import Limits, ModelLimits

_OVERHEAD_BYTES = 1_000_000  # audio, index and everything else in the file
_SPARE_BYTES = 64 << 20  # how much a file may exceed four times its estimate

REFERENCE_CURRENCY = "USD"
"""The currency of the list prices that count where the manifest has no `pricing`."""
LENGTH = "seconds"
"""What `needs.with_lengths` adds to a video that a stored request needs."""
_LEAST_SHARE = 4
"""Implausible are fewer tokens than those of the smallest video that fits a request, divided by this."""


def worst_case(request: Request, limits: Limits, pricing: Pricing) -> WorstCase:
    """The most that one attempt at the request can be charged."""
    most, least = tokens(request, limits), least_tokens(request, limits)
    price = price_of(request, limits, pricing, highest=True)
    cost = None if price is None else most * price / 1_000_000
    return WorstCase(most, cost, pricing.currency or REFERENCE_CURRENCY, least)


def price_of(request: Request, limits: Limits, pricing: Pricing, highest: bool = False) -> float | None:
    """The price of a million tokens: the manifest's, else the list price in its currency; None if unknown.

    The list has a lower price for requests with an input video, which not every gateway knows: `highest`
    is for figures that must not be exceeded.
    """
    model = limits.of(request)
    own = pricing.per_million_tokens.get(str(request.get("model")))
    if own is not None:
        return own * pricing.factor
    body = normalise(request)
    metadata = _metadata(body)
    listed = model.prices.get(pricing.currency or REFERENCE_CURRENCY, {})
    prices = listed.get(str(metadata.get("resolution", model.default_resolution)))
    if prices is None:
        return None
    return pricing.factor * (max(prices) if highest else prices[_has_video(body, metadata)])


def unpriced(requests: Iterable[Request], limits: Limits, pricing: Pricing) -> str:
    """A model among these requests that has no price; empty if each has one."""
    return next((str(one.get("model")) for one in requests if price_of(one, limits, pricing) is None), "")


def tokens(request: Request, limits: Limits) -> int:
    """The most tokens that can be charged for the request: `floor(frames * width * height / 1024)`.

    A video of d seconds has fps * d + 1 frames (measured). The duration of input videos counts too; the
    longest allowed is assumed unless each is another task's, with a known length. `duration: -1` counts as
    the longest that the model makes.
    """
    body, model = normalise(request), limits.of(request)
    metadata = _metadata(body)
    frames = _frames(metadata, model, model.longest)
    if input_seconds := _input_seconds(body, model):
        # derived from actual bills: at least 5/3 of the output is charged
        least = math.ceil(5 * (frames - 1) / (3 * model.fps)) * model.fps + 1
        frames = max(frames + input_seconds * model.fps, least)
    return frames * max(_areas(metadata, model, limits)) // 1024


def least_tokens(request: Request, limits: Limits) -> int:
    """The fewest tokens that are plausible: a quarter of what the shortest and smallest video has."""
    model, metadata = limits.of(request), _metadata(normalise(request))
    frames = _frames(metadata, model, model.shortest)
    return frames * min(_areas(metadata, model, limits)) // 1024 // _LEAST_SHARE


def left_open(request: Request, limits: Limits) -> list[str]:
    """What the request leaves to the model, so that less than the worst case may be charged."""
    body = normalise(request)
    metadata = _metadata(body)
    found = ["the length"] if _leaves_length(metadata) else []
    if limits.of(request).size(metadata) is None:
        found.append("the ratio")
    if lengths := input_lengths(body):
        found.append("how input videos are counted" if all(lengths) else "the length of input videos")
    return found


def video_bytes(request: Request, limits: Limits) -> int:
    """A rough upper bound for the video's size on disk."""
    metadata, model = _metadata(normalise(request)), limits.of(request)
    bits = max(_areas(metadata, model, limits)) * limits.bits_per_pixel
    return int(_frames(metadata, model, model.longest) / model.fps * bits / 8) + _OVERHEAD_BYTES


def most_bytes(request: Request, limits: Limits) -> int:
    """The maximum size of a file for the request, far above that of any video."""
    return _SPARE_BYTES + 4 * video_bytes(request, limits)


def input_lengths(request: Request) -> tuple[int, ...]:
    """The seconds of each input video of a normalised request, 0 where that is not known.

    Known are only videos of other tasks: in a plan, and in a stored request after `needs.with_lengths`.
    """
    videos = (value for _, kind, value in located(request, _metadata(request)) if kind == "video")
    return tuple(_length_of(value) for value in videos)


def _input_seconds(request: Request, model: ModelLimits) -> int:
    """The most seconds of input video that are charged; 0 if there is none.

    A video of 5 seconds is one picture longer, and how a bill rounds that is not known: 6 are counted. Known
    lengths count even where the model should refuse them: if it doesn't, it charges them.
    """
    lengths = input_lengths(request)
    return sum(length + 1 for length in lengths) if all(lengths) else model.inputs.video_seconds


def _length_of(video: RequestValue) -> int:
    if isinstance(video, TaskOutput):
        return video.seconds
    seconds = video.get(LENGTH) if isinstance(video, Mapping) else None
    return seconds if isinstance(seconds, int) else 0


def _has_video(request: Request, metadata: Request) -> bool:
    return any(kind == "video" for _, kind, _ in located(request, metadata))


def _metadata(request: Request) -> Request:
    metadata = request.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _frames(metadata: Request, model: ModelLimits, if_open: int) -> int:
    """Of a video that lasts `if_open` seconds if the length is left to the model."""
    frames, duration = metadata.get("frames"), metadata.get("duration")
    if isinstance(frames, int):
        return frames
    seconds = duration if isinstance(duration, int) and duration > 0 else if_open
    return model.fps * seconds + 1


def _leaves_length(metadata: Request) -> bool:
    duration = metadata.get("duration")
    return "frames" not in metadata and not (isinstance(duration, int) and duration > 0)


def _areas(metadata: Request, model: ModelLimits, limits: Limits) -> list[int]:
    """Pixels per frame; of all sizes if the ratio is open, or the model has no such resolution."""
    resolution = str(metadata.get("resolution", model.default_resolution))
    if size := model.size(metadata):
        return [size[0] * size[1]]
    known = (model, *limits.models.values())
    rows = [one.sizes[resolution] for one in known if resolution in one.sizes]
    # A resolution that no model has is one of a models file that the manifest no longer names.
    sizes = rows[0] if rows else {key: size for row in model.sizes.values() for key, size in row.items()}
    return [width * height for width, height in sizes.values()]
