"""Which cases are played: how many of each kind, drawn from a seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.torture.cases import BY_CHANCE
from tests.torture.situations import SITUATIONS

BY_STRACE: Sequence[str] = (
    *(f"kill/{situation}" for situation in SITUATIONS),
    *(f"error/{situation}" for situation in ("fresh", "generating", "collecting")),
)
IN_A_BUCKET: Sequence[str] = tuple(f"kill/{name}" for name, one in SITUATIONS.items() if one.is_stored)
KINDS: Sequence[str] = (*BY_STRACE, *BY_CHANCE)
SHARES: Mapping[str, float] = {"kill/fresh": 0.23, "error/fresh": 0.15, "chance": 0.3, "signal": 0.04}
"""How many of the kills are of a kind, where all kinds are played; failing calls and signals come on top."""
OTHER_SHARE = 0.07
KILLS_IN_ONE = {"chance": 2}
"""About so many kills are in one case."""
CASES = {"chance": 60, "signal": 40}
"""How many where each point is played once."""


def chosen(only: str) -> list[str]:
    """The kinds that `--only` means: a kind, or all that begin with a word; nothing means all."""
    return [kind for kind in KINDS if not only or kind == only or kind.startswith(f"{only}/")]


def names(
    kind: str, seed: int, kills: int, points: Callable[[str], list[str]], kinds: Sequence[str] = KINDS
) -> list[str]:
    """The cases of a kind, where these kinds together shall kill so often; 0: each point once."""
    chance = random.Random(f"{seed} {kind}")
    whole = min(1.0, sum(SHARES.get(other, OTHER_SHARE) for other in kinds))
    wanted = math.ceil(kills * SHARES.get(kind, OTHER_SHARE) / whole)
    if kind in BY_CHANCE:
        count = math.ceil(wanted / KILLS_IN_ONE.get(kind, 1)) if kills else CASES[kind]
        return [f"{kind}/{chance.randrange(10**6)}" for _ in range(count)]
    found = points(kind)
    return chance.sample(found, min(wanted, len(found))) if kills else found


def more(seed: int) -> Iterator[str]:
    """Further cases by chance, where the kills were not enough."""
    chance = random.Random(f"{seed} more")
    while True:
        yield f"chance/{chance.randrange(10**6)}"
