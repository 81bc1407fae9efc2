"""What a finished attempt cost: the gateway's own charge, or tokens at a price."""

import pytest

from batchrunner.core.model import AttemptId, Generation, Pricing, RemoteId, TaskKey
from batchrunner.core.settlement import QUOTA_PER_USD, Prices, Settled, charged_usd, settled
from batchrunner.manifest import load_limits

LIMITS = load_limits()
REQUEST = {"model": "dreamina-seedance-2-0-fast", "metadata": {"resolution": "720p", "duration": 5}}


def cost(tokens=108_900, quota=None, hold=700_000, pricing=None, unit=QUOTA_PER_USD, request=None) -> Settled:
    prices = Prices(pricing or Pricing(), LIMITS, unit)
    return settled(request or REQUEST, tokens, quota, hold, prices)


@pytest.mark.parametrize(
    ("quota", "hold", "usd"),
    [
        (304_920, 700_000, 0.60984),
        (1_360_800, 700_000, 2.7216),  # dearer than the hold
        (700_000, 700_000, None),  # never changed: only the hold
        (304_920, None, None),  # may be a hold that was never seen
        (0, 700_000, None),  # a video is not free
        (-5, 700_000, None),
        (10**16, 700_000, None),
        (10**6 * 500_000, 700_000, 1e6),  # the most that is plausible, in USD
        (10**6 * 500_000 + 1, 700_000, None),
        (None, 700_000, None),
    ],
)
def test_only_a_quota_that_changed_is_a_charge(quota, hold, usd):
    """A hold, an absurd number, or nothing, is not what the gateway charged."""
    assert charged_usd(quota, hold, QUOTA_PER_USD) == usd


@pytest.mark.parametrize(
    ("seen", "hold"),
    [
        ([None, 700_000, 304_920], 700_000),  # settled before it is called a success
        ([0, -5, 700_000], 700_000),  # not shown yet
        ([700_000, 875_000], 875_000),
        ([0, None], None),
    ],
)
def test_the_hold_is_the_most_that_was_seen(seen, hold):
    """A quota of 0 while a task generates is none."""
    generation = Generation(TaskKey("k"), AttemptId(1), RemoteId("task_1"), 0.0, 0.0, REQUEST, None)
    for quota in seen:
        generation = generation.holding(quota)
    assert generation.hold == hold


def test_the_gateways_charge_counts_where_the_manifest_has_no_prices():
    """It need not be the list price, and its unit may be another one."""
    assert cost(quota=320_000) == Settled(0.64, "USD", 0.64)
    assert cost(quota=320_000, unit=1_000_000) == Settled(0.32, "USD", 0.32)


def test_the_list_price_counts_where_the_gateway_shows_no_charge():
    """A hold that never changed says nothing; without tokens or a price nothing is guessed."""
    assert cost(quota=700_000) == Settled(0.60984, "USD", None)
    assert cost(tokens=None) == Settled(None, "USD", None)
    assert cost(request={"model": "later"}) == Settled(None, "USD", None)


def test_the_manifests_prices_come_first():
    """They may be in another currency, which the gateway's charge must never be taken for."""
    for currency in ("CNY", "USD"):
        pricing = Pricing(currency, {"dreamina-seedance-2-0-fast": 10.0})
        assert cost(quota=320_000, pricing=pricing) == Settled(1.089, currency, 0.64)
    others = Pricing("CNY", {"another": 10.0})
    assert cost(quota=320_000, pricing=others) == Settled(4.0293, "CNY", 0.64)  # the list price in CNY
    elsewhere = Pricing("EUR", {"another": 10.0})
    assert cost(quota=320_000, pricing=elsewhere) == Settled(0.64, "USD", 0.64)  # better than nothing
    assert cost(pricing=elsewhere) == Settled(None, "EUR", None)
