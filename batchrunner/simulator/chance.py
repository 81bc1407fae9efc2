"""Seeded chance: the same parts always give the same draw, in whatever order the draws are made."""

import hashlib
import math
from statistics import NormalDist

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()


def unit(*parts: object) -> float:
    """A number strictly between 0 and 1, drawn from `parts`."""
    return (int.from_bytes(_digest(parts)[:6], "big") + 0.5) / 2**48


def below(limit: int, *parts: object) -> int:
    """A whole number from 0 to `limit` - 1, drawn from `parts`."""
    return int(unit(*parts) * limit)


def letters(length: int, *parts: object) -> str:
    """`length` letters and digits (at most 40), drawn from `parts`."""
    number = int.from_bytes(_digest(parts), "big")
    drawn = []
    for _ in range(length):
        number, rest = divmod(number, len(_LETTERS))
        drawn.append(_LETTERS[rest])
    return "".join(drawn)


def lognormal(median: float, sigma: float, *parts: object) -> float:
    """A lognormal number around `median`, drawn from `parts`; the spread `sigma` 0 gives the median."""
    return median * math.exp(sigma * NormalDist().inv_cdf(unit(*parts)))
