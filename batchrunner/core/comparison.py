"""Compares a video with its request. Differences are warnings: the video was paid for and is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping

from batchrunner.core.rules.limits import ModelLimits

LENGTH_TOLERANCE = 0.5
"""Seconds; a 5 s video has 121 frames."""


CANARY_TOLERANCE = 0.25
"""Seconds, for the first video of a kind."""
RATIO_TOLERANCE = 0.04
"""Share by which width divided by height may differ: the sizes of a model were revised before."""
MOST_TOKENS = 1.1
"""How many times its estimate the first video of a kind may be charged."""


def not_as_requested(
    metadata: Mapping[str, object],
    *,
    duration: float,
    width: int,
    height: int,
    tokens: int | None,
    estimate: int,
    model: ModelLimits,
) -> tuple[str, ...]:
    """Messages where a video is not what was requested, or costs more: reasons not to pay for others like it.

    Arguments as in `differences`; `tokens` were charged, and `estimate` is the most that was expected.
    """
    found = []
    wanted = _wanted_length(metadata, model)
    if wanted and abs(duration - wanted) > CANARY_TOLERANCE:
        found.append(f"requested {wanted:g} s, got {duration:g} s")
    resolution = str(metadata.get("resolution") or model.default_resolution)
    sizes = model.sizes.get(resolution, {})
    came = _nearest_resolution(width * height, model)
    if sizes and came != resolution:
        found.append(f"requested {resolution}, got {came} ({width}x{height})")
    if size := model.size(metadata):
        ratio, asked = metadata.get("ratio") or model.default_ratio, size[0] / size[1]
        if abs(width / height - asked) > RATIO_TOLERANCE * asked:
            found.append(f"requested {ratio}, got {width}x{height}")
    if tokens is not None and tokens > MOST_TOKENS * estimate:
        found.append(f"charged {tokens:,} tokens instead of {estimate:,} at most")
    return tuple(found)


def _wanted_length(metadata: Mapping[str, object], model: ModelLimits) -> float:
    """Seconds; 0 if the model chooses."""
    asked, frames = metadata.get("duration"), metadata.get("frames")
    wanted = frames / model.fps if isinstance(frames, int) else asked
    return wanted if isinstance(wanted, int | float) and wanted > 0 else 0.0


def _nearest_resolution(pixels: int, model: ModelLimits) -> str:
    def distance(resolution: str) -> float:
        return min(abs(math.log(pixels / (w * h))) for w, h in model.sizes[resolution].values())

    return min(model.sizes, key=distance)


def differences(
    metadata: Mapping[str, object],
    *,
    duration: float,
    width: int,
    height: int,
    fps: float,
    model: ModelLimits,
) -> tuple[str, ...]:
    """Messages where a file's duration (seconds), size (pixels) or frame rate differs from `metadata`."""
    found = []
    wanted = _wanted_length(metadata, model)
    if wanted and abs(duration - wanted) > LENGTH_TOLERANCE:
        found.append(f"requested {wanted:g} s, got {duration:g} s")
    size = model.size(metadata)
    if size and size != (width, height):
        found.append(f"requested {size[0]}x{size[1]}, got {width}x{height}")
    if abs(fps - model.fps) > 0.1:
        found.append(f"expected {model.fps} frames per second, got {fps:g}")
    return tuple(found)
