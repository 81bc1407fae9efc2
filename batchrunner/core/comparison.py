"""Compares a video with its request. Differences are warnings: the video was paid for and is kept."""

from __future__ import annotations

from collections.abc import Mapping

from batchrunner.core.rules.limits import Limits

LENGTH_TOLERANCE = 0.5
"""Seconds; a 5 s video has 121 frames."""


def differences(
    metadata: Mapping[str, object], *, duration: float, width: int, height: int, fps: float, limits: Limits
) -> tuple[str, ...]:
    """Messages where a file's duration (seconds), size (pixels) or frame rate differs from `metadata`."""
    found = []
    asked, frames = metadata.get("duration"), metadata.get("frames")
    wanted = frames / limits.fps if isinstance(frames, int) else asked
    if isinstance(wanted, int | float) and wanted > 0 and abs(duration - wanted) > LENGTH_TOLERANCE:
        found.append(f"requested {wanted:g} s, got {duration:g} s")
    resolution = str(metadata.get("resolution") or limits.default_resolution)
    size = limits.sizes.get(resolution, {}).get(str(metadata.get("ratio") or limits.default_ratio))
    if size and size != (width, height):
        found.append(f"requested {size[0]}x{size[1]}, got {width}x{height}")
    if abs(fps - limits.fps) > 0.1:
        found.append(f"expected {limits.fps} frames per second, got {fps:g}")
    return tuple(found)
