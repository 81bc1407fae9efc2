"""Which sizes the videos of requests may have: shots of different sizes can't be joined to a film."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from batchrunner.core.model import Request
from batchrunner.core.rules.limits import ADAPTIVE, Limits


class Look(NamedTuple):
    """What videos must have in common to be joined, as far as a request decides it."""

    width: int
    height: int
    fps: int

    def __str__(self) -> str:
        return f"{self.width}×{self.height}, {self.fps} fps"


def looks(request: Request, limits: Limits) -> frozenset[Look]:
    """Every look that the request's video may have; empty if that can't be known.

    With an adaptive ratio, the size follows the picture, or the model chooses it: any of its resolution.
    """
    model = limits.of(request)
    given = request.get("metadata")
    metadata = given if isinstance(given, Mapping) else {}
    row = model.sizes.get(str(metadata.get("resolution") or model.default_resolution), {})
    ratio = str(metadata.get("ratio") or model.default_ratio)
    sizes = row.values() if ratio == ADAPTIVE else [row[ratio]] if ratio in row else []
    return frozenset(Look(*size, model.fps) for size in sizes)
