"""Learns from charges above the worst case: later submissions are held against the budget so much higher."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from batchrunner.core.budget import MICROS, Amount, WorstCase

WORTH_SAYING, MOST_EXACT = 1.005, 100
"""The least factor that is shown, and the least that is shown without digits after the point."""


@dataclass(frozen=True, slots=True)
class Overruns:
    """How many times their worst cases attempts were charged, at most; never below 1."""

    tokens: float = 1.0
    cost: Mapping[str, float] = field(default_factory=dict)
    """By the price of the worst case: with another price, money is another estimate, but tokens are not."""

    def __bool__(self) -> bool:
        return self != Overruns()

    @classmethod
    def from_text(cls, text: str) -> Overruns:
        """Read what `to_text` made; empty text is none."""
        return cls(**json.loads(text or "{}"))

    @property
    def in_words(self) -> str:
        """What was learned; empty if that is nothing, or a matter of rounding."""
        most = max(self.tokens, *self.cost.values()) if self.cost else self.tokens
        times = f"{most:.2f} times" if most < MOST_EXACT else f"{most:,.0f} times"
        return (
            f"the gateway has charged up to {times} the worst case; estimates count that"
            if most >= WORTH_SAYING
            else ""
        )

    def to_text(self) -> str:
        """All of it as JSON."""
        return json.dumps(asdict(self))

    def raised(self, worst: WorstCase) -> Amount:
        """What one more attempt is to be held against the budget with."""
        cost = math.floor((worst.cost or 0.0) * MICROS + 0.5)
        times = max(self.tokens, self.cost.get(_price(worst), 1.0))
        return Amount(math.ceil((worst.tokens or 0) * self.tokens), math.ceil(cost * times), 1)

    def including(self, worst: WorstCase, charged: Amount) -> Overruns:
        """These and one more charge; the same if it is within its worst case."""
        tokens, cost, price = worst.tokens or 0, (worst.cost or 0.0) * MICROS, _price(worst)
        found = replace(self, tokens=max(self.tokens, charged.tokens / tokens if tokens else 1.0))
        # Millionths are rounded: a charge that is higher by less than one is none.
        if cost and charged.cost > cost + 1 and charged.cost / cost > self.cost.get(price, 1.0):
            found = replace(found, cost={**self.cost, price: charged.cost / cost})
        return found


def _price(worst: WorstCase) -> str:
    if worst.cost is None or not worst.tokens:
        return worst.currency
    return f"{worst.currency} {worst.cost / worst.tokens * 1_000_000:.4f}"
