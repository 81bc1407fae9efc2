"""Which cases are played: how many of each kind, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.torture.situations import SITUATIONS

BY_STRACE: Sequence[str] = (
    *(f"kill/{situation}" for situation in SITUATIONS),
    *(f"error/{situation}" for situation in ("fresh", "generating", "collecting")),
)
BY_CHANCE: Sequence[str] = ("chance", "signal")
KINDS: Sequence[str] = (*BY_STRACE, *BY_CHANCE)
SHARES: Mapping[str, float] = {"kill/fresh": 0.3, "error/fresh": 0.15, "chance": 0.12, "signal": 0.04}
"""Cases of a kind for each kill that is asked for."""
OTHER_SHARE = 0.07
CASES = {"chance": 60, "signal": 40}
"""How many where each point is played once."""


def of_kind(kind: str, only: str) -> bool:
    """Whether `--only` means this kind: its name, or the first word of it."""
    return not only or kind == only or kind.startswith(f"{only}/")


def names(kind: str, seed: int, kills: int, points: Callable[[str], list[str]]) -> list[str]:
    """The cases of a kind, for so many kills in all; 0: each point once."""
    chance = random.Random(f"{seed} {kind}")
    wanted = max(1, round(kills * SHARES.get(kind, OTHER_SHARE)))
    if kind in BY_CHANCE:
        count = wanted if kills else CASES[kind]
        return [f"{kind}/{chance.randrange(10**6)}" for _ in range(count)]
    found = points(kind)
    return chance.sample(found, min(wanted, len(found))) if kills else found


def more(seed: int) -> Iterator[str]:
    """Further cases by chance, where the kills were not enough."""
    chance = random.Random(f"{seed} more")
    while True:
        yield f"chance/{chance.randrange(10**6)}"
