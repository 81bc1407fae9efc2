"""What a finished attempt cost: by the gateway's own settlement, or else by its tokens and a price."""

from __future__ import annotations

from dataclasses import dataclass

from batchrunner.core.estimate import REFERENCE_CURRENCY, price_of
from batchrunner.core.model import Pricing, Request
from batchrunner.core.rules.limits import Limits

QUOTA_PER_USD = 500_000.0
"""The gateway's quota units in one USD, unless its status page names another number."""
MOST_QUOTA = 10**15
"""Quota units; larger values are implausible."""
QUOTA_UNITS = (1e3, 1e9)
"""The least and the most units that one USD can plausibly have."""
MOST_CHARGED = 1e6
"""USD for one attempt; larger amounts are implausible."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What costs are computed from."""

    pricing: Pricing
    """The manifest's prices."""
    limits: Limits
    """With the list prices."""
    quota_per_usd: float = QUOTA_PER_USD
    """The gateway's quota units in one USD."""
    settles: bool = False
    """Whether the gateway has shown a settled quota: then one that is still the hold was not refunded."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What an attempt cost."""

    cost: float | None
    """None if unknown."""
    currency: str
    charged_usd: float | None
    """What the gateway itself charged, in USD; None if it did not show that."""


def settled(
    request: Request, tokens: int | None, quota: int | None, hold: int | None, prices: Prices
) -> Settled:
    """The cost of an attempt that succeeded.

    With prices in the manifest, these count: they are what the user pays, maybe in another currency than the
    gateway's. For a model without one, or without any prices, the gateway's own charge counts, or, if it
    shows none, the list price.
    """
    charged = charged_usd(quota, hold, prices.quota_per_usd)
    price = price_of(request, prices.limits, prices.pricing)
    if charged is not None and (price is None or not prices.pricing.currency):
        return Settled(charged, REFERENCE_CURRENCY, charged)
    cost = None if price is None or tokens is None else round(tokens * price / 1_000_000, 6)
    return Settled(cost, prices.pricing.currency or REFERENCE_CURRENCY, charged)


def charged_usd(quota: int | None, hold: int | None, quota_per_usd: float) -> float | None:
    """What the gateway charged in the end, in USD; None if that is not known.

    `hold` is the quota shown while the task was generating. Some versions show it for ever, and all until
    they have settled: an unchanged quota is not a price. Nor is 0, or one with no hold to compare it with.
    """
    if quota is None or hold is None or quota == hold or quota <= 0:
        return None
    amount = quota / quota_per_usd
    return round(amount, 6) if amount <= MOST_CHARGED else None
