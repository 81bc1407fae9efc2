"""Learns from charges above the worst case: later submissions are held against the budget so much higher."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from batchrunner.core.budget import MICROS, Amount, WorstCase

MOST_EXACT = 100


class Factors(NamedTuple):
    """How many times its worst case an attempt was charged, at most; never below 1."""

    tokens: float = 1.0
    cost: float = 1.0

    def of(self, amount: Amount) -> Amount:
        """The amount, multiplied and rounded up."""
        tokens, cost = math.ceil(amount.tokens * self.tokens), math.ceil(amount.cost * self.cost)
        return Amount(tokens, cost, amount.tasks)


@dataclass(frozen=True, slots=True)
class Overruns:
    """The factors by the price that the worst case was computed with: another price is another estimate."""

    by_price: Mapping[str, Factors] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_price)

    @classmethod
    def from_text(cls, text: str) -> Overruns:
        """Read what `to_text` made; empty text is none."""
        return cls({price: Factors(*values) for price, values in json.loads(text or "{}").items()})

    @property
    def in_words(self) -> str:
        """What was learned; empty if nothing was."""
        most = max((max(factors) for factors in self.by_price.values()), default=1.0)
        times = f"{most:.2f} times" if most < MOST_EXACT else f"{most:,.0f} times"
        return f"the gateway has charged up to {times} the worst case; estimates count that" if self else ""

    def to_text(self) -> str:
        """All of it as JSON."""
        return json.dumps(self.by_price)

    def raised(self, worst: WorstCase) -> Amount:
        """What one more attempt is to be held against the budget with."""
        amount = Amount(worst.tokens or 0, math.floor((worst.cost or 0.0) * MICROS + 0.5), 1)
        return self.by_price.get(_price(worst), Factors()).of(amount)

    def including(self, worst: WorstCase, charged: Amount) -> Overruns:
        """These and one more charge; the same if it is within its worst case."""
        tokens, cost = worst.tokens or 0, (worst.cost or 0.0) * MICROS
        before = self.by_price.get(_price(worst), Factors())
        now = Factors(
            max(before.tokens, charged.tokens / tokens if tokens else 1.0),
            # Millionths are rounded: a charge that is higher by less than one is none.
            max(before.cost, charged.cost / cost if cost and charged.cost > cost + 1 else 1.0),
        )
        return self if now == before else Overruns({**self.by_price, _price(worst): now})


def _price(worst: WorstCase) -> str:
    if worst.cost is None or not worst.tokens:
        return worst.currency
    return f"{worst.currency} {worst.cost / worst.tokens * 1_000_000:.4f}"
