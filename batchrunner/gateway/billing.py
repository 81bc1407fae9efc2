"""Reads what the gateway says about money: its status page and the two billing routes."""

from __future__ import annotations

from typing import Any

from batchrunner.core.settlement import MOST_QUOTA, QUOTA_UNITS
from batchrunner.gateway.reading import as_dict, as_object
from batchrunner.gateway.wire import Answer

STATUS_PATH = "/api/status"
BILLING_PATHS = ("/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage")
UNLIMITED = 1e8
"""USD, which a key without a limit shows."""


def quota_per_usd(answer: Answer) -> float | None:
    """How many quota units are one USD, in an answer of the status page; None if it doesn't say."""
    told = _amount(as_dict(as_object(answer.body).get("data")).get("quota_per_unit"))
    if answer.status != 200 or told is None or not QUOTA_UNITS[0] <= told <= QUOTA_UNITS[1]:
        return None
    return told


def balance(subscription: Answer, usage: Answer) -> float | None:
    """What is left, in USD, in the answers of the two routes; None if unlimited or not shown.

    Errors may come with status 200, without the numbers.
    """
    granted = _amount(as_object(subscription.body).get("hard_limit_usd"))
    cents = _amount(as_object(usage.body).get("total_usage"))
    if (subscription.status, usage.status) != (200, 200) or granted is None or cents is None:
        return None
    return None if granted >= UNLIMITED else granted - cents / 100


def _amount(value: Any) -> float | None:
    """A plausible amount of money or units; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= MOST_QUOTA else None
