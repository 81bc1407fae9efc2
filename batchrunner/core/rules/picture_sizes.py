"""Rules for the dimensions of local pictures: sides, aspect ratio, and consistency with `ratio`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from batchrunner.core.model import MediaFile, Request
from batchrunner.core.rules.inputs import InputFault, InputLimits, ValuePath, error, located, warning

_TOLERANCE = 0.03
"""The model's own sizes deviate by up to 2.5 % from their nominal ratio."""


def check_pictures(request: Request, metadata: Request, limits: InputLimits) -> Iterator[InputFault]:
    """The problems of a request's local pictures."""
    for path, _, value in located(request, metadata):
        most = limits.most_bytes["image"]
        if not isinstance(value, MediaFile) or not value.is_picture:
            continue
        if not value.fit and value.size > most:
            yield error(path, f"{value.shown} is over {most // 1_000_000} MB", "make the picture smaller")
        if value.width and value.height:
            yield from check_measures(path, value, limits)
            if _is_first_frame(path, request, metadata):
                yield from _cropped(path, value, str(metadata.get("ratio", "")))


def check_measures(path: ValuePath, picture: MediaFile, limits: InputLimits) -> Iterator[InputFault]:
    """Check that the model accepts the sides and the aspect ratio of a picture."""
    low, high = limits.sides
    width, height = picture.width, picture.height
    size = f"{picture.shown} is {width} x {height} pixels"
    if picture.fit:  # scaling down keeps the aspect ratio
        scale = min(1.0, picture.fit.side / max(width, height))
        width, height = round(width * scale), round(height * scale)
    if min(width, height) < low:
        yield error(path, f"{size}; each side must have {low} to {high}", "use a larger picture")
    elif max(width, height) > high:
        hint = "make it smaller, or add `images: {fit: 4096}` at the top level of the manifest"
        yield error(path, f"{size}; each side must have {low} to {high}", hint)
    narrow, wide = limits.aspect
    if not narrow <= picture.width / picture.height <= wide:
        message = f"{size}: its aspect ratio is {picture.width / picture.height:.3g}"
        yield error(path, message, f"crop it: the model accepts {narrow} to {wide}")


def _is_first_frame(path: ValuePath, request: Request, metadata: Request) -> bool:
    """Whether the picture at `path` is the video's first frame."""
    inputs = [item for item, _, _ in located(request, metadata)]
    if path[0] != "metadata":
        return len(inputs) == 1
    content = metadata.get("content")
    item = content[int(path[2])] if isinstance(content, list) else None
    role = item.get("role") if isinstance(item, Mapping) else "none"
    return role == "first_frame" or (role is None and len(inputs) == 1)


def _cropped(path: ValuePath, picture: MediaFile, ratio: str) -> Iterator[InputFault]:
    width, _, height = ratio.partition(":")
    if not (width.isdigit() and height.isdigit()):  # adaptive or not set, which is the same
        return
    wanted, its = int(width) / int(height), picture.width / picture.height
    if abs(its / wanted - 1) > _TOLERANCE:
        message = (
            f"{picture.shown} is {picture.width} x {picture.height} pixels, not {ratio}: "
            "the model will crop it"
        )
        yield warning(path, message, "write `ratio: adaptive`, or crop the picture yourself")
