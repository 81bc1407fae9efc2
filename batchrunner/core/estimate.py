"""What a task may need, before it is sent: tokens and disk, the worst case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

from batchrunner.core.model import Request
from batchrunner.core.plan import normalise
from batchrunner.core.rules.inputs import located
from batchrunner.core.rules.limits import Limits

T = TypeVar("T")
_OVERHEAD_BYTES = 1_000_000  # sound, index and whatever else is in the file


def tokens(request: Request, limits: Limits) -> int:
    """The most tokens that the request can be charged: `floor(frames * width * height / 1024)`.

    A video of d seconds has 24 * d + 1 frames, as was measured. With an input video, its seconds count too,
    and the longest one is taken; `duration: -1` is the longest that the model makes.
    """
    body = normalise(request)
    metadata = _metadata(body)
    frames = _frames(metadata, limits)
    if any(kind == "video" for _, kind, _ in located(body, metadata)):
        # fitted to bills: at least 5/3 of the output is counted
        least = math.ceil(5 * (frames - 1) / (3 * limits.fps)) * limits.fps + 1
        frames = max(frames + limits.longest_input_video * limits.fps, least)
    return frames * _area(metadata, limits) // 1024


def video_bytes(request: Request, limits: Limits) -> int:
    """A rough upper bound of the video's size on disk."""
    metadata = _metadata(normalise(request))
    bits = _by_resolution(limits.max_bitrate, metadata, limits) * 1_000_000
    return int(_frames(metadata, limits) / limits.fps * bits / 8) + _OVERHEAD_BYTES


def _metadata(request: Request) -> Request:
    metadata = request.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _frames(metadata: Request, limits: Limits) -> int:
    frames, duration = metadata.get("frames"), metadata.get("duration")
    if isinstance(frames, int):
        return frames
    seconds = duration if isinstance(duration, int) and duration > 0 else limits.longest_auto
    return limits.fps * seconds + 1


def _area(metadata: Request, limits: Limits) -> int:
    """Pixels of one picture; of the largest one where the ratio is open."""
    sizes = _by_resolution(limits.sizes, metadata, limits)
    ratio = str(metadata.get("ratio", limits.default_ratio))
    width, height = sizes.get(ratio) or max(sizes.values(), key=lambda size: size[0] * size[1])
    return width * height


def _by_resolution(table: Mapping[str, T], metadata: Request, limits: Limits) -> T:
    return table[str(metadata.get("resolution", limits.default_resolution))]
