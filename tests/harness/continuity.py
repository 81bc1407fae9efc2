"""Whether a simulated video continues where a picture ends, asked of the files themselves.

Compared are the rows below label and clock, which each video has of its own, in all three channels: bars may
differ in colour only. A picture of another size is first scaled and centre-cropped, as the model does it.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import av
from PIL import Image, ImageChops, ImageOps, ImageStat

from batchrunner.simulator.painting import Picture

SAME = 6.0
"""More than pictures of the same scene differ by, and less than half of what those of two scenes do."""


class Ends(NamedTuple):
    """The first and the last frame of a video."""

    first: Image.Image
    last: Image.Image


def picture(file: Path | bytes) -> Image.Image:
    """A picture file."""
    return Image.open(io.BytesIO(_read(file)))


def ends(file: Path | bytes) -> Ends:
    """The first and the last frame of a video file."""
    with av.open(io.BytesIO(_read(file))) as container:
        frames = list(container.decode(video=0))
    return Ends(frames[0].to_image(), frames[-1].to_image())


def difference(earlier: Image.Image, later: Image.Image) -> float:
    """How much two pictures differ below label and clock: the mean absolute difference, of 255.

    Of the three channels (luma, and two of colour), the one that differs most counts.
    """
    top = max(_top(later.size), _seen_top(earlier.size, later.size))
    fitted = ImageOps.fit(earlier.convert("RGB"), later.size)
    one, other = (image.crop((0, top, *image.size)).convert("YCbCr") for image in (fitted, later))
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def continues(earlier: Image.Image, later: Image.Image) -> bool:
    """Whether `later`, a first frame, shows `earlier`: the last frame of the shot before, or a picture."""
    return difference(earlier, later) < SAME


def _read(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def _top(size: tuple[int, int]) -> int:
    """The first row below label and clock."""
    return Picture(*size, frames=1, variant=0).top


def _seen_top(earlier: tuple[int, int], later: tuple[int, int]) -> int:
    """Where that row of a picture is once it has been scaled and cropped to another size."""
    scale = max(new / old for new, old in zip(later, earlier, strict=True))
    cut = (earlier[1] * scale - later[1]) / 2
    return round(_top(earlier) * scale - cut)
