"""What a task cost: as the gateway settled it, or by the manifest's prices; and the account's balance."""

import json
from typing import Any

import pytest

from tests.harness.gateway import KEY

HOLD = 700_000
"""Quota units that the gateway takes for each submission to the fast model."""
MODEL = "dreamina-seedance-2-0-fast"
USD = 500_000
"""Quota units."""


def costs(desk: Any) -> dict[str, tuple[str, str]]:
    """Cost and currency of each row of results.csv, by ID."""
    return {row["id"]: (row["cost"], row["currency"]) for row in desk.rows()}


def test_without_prices_a_task_costs_what_the_gateway_settled(desk: Any, sim: Any) -> None:
    """The final quota, in USD, not the hold; it is the list price here, and the summary says so."""
    sim.start()
    desk.write("ant", "bee")
    done = desk.run()
    assert done.code == 0
    settled = {charge["prompt"].split()[0]: charge["settled"] / USD for charge in sim.charges()}
    assert costs(desk) == {name: (f"{usd:.6f}".rstrip("0"), "USD") for name, usd in settled.items()}
    assert "spent    81,188 tokens · 0.45 USD in all runs, as estimated" in done.stdout
    assert "price    " not in done.stdout


def test_a_price_that_is_not_the_gateways_is_named(desk: Any, sim: Any) -> None:
    """The manifest's prices fill the column; what the gateway charges instead is said once."""
    sim.start(generation_seconds=1000)  # so that a poll sees the hold before the end
    desk.sections = {"pricing": {"currency": "USD", "per_million_tokens": {MODEL: 5}}}
    desk.write("ant", "bee")
    done = desk.run()
    assert costs(desk) == dict.fromkeys(("ant", "bee"), ("0.20297", "USD"))
    told = (
        f"price    the gateway charges 5.60 USD per million tokens of {MODEL} at 480p; the manifest says 5.00"
    )
    assert done.stdout.count(told) == 1
    desk.write("ant", "bee", "cat")
    (price,) = json.loads(desk.run("--json").stdout)["prices"]
    assert price == {"model": MODEL, "resolution": "480p", "charged": 5.6, "expected": 5.0, "differs": True}


def test_a_worst_case_stands_beside_what_was_charged(desk: Any, sim: Any) -> None:
    """The model chose a shorter length than it might have: the summary shows both figures."""
    sim.start()
    desk.defaults = {**desk.defaults, "duration": -1}
    desk.write("ant", draw_seed=False)  # a seed of the run directory's own could choose the longest
    done = desk.run()
    worst = (24 * 15 + 1) * 864 * 496 // 1024
    money = f"{worst * 5.6 / 1e6:,.2f} USD"
    assert f"in all runs; estimated at most {worst:,} tokens · {money}" in done.stdout


def test_prices_in_another_currency_stay_apart_from_the_gateways(desk: Any, sim: Any) -> None:
    """What the first run spent in USD counts in CNY against the budget of the second: 2 of 3 fit."""
    sim.start()
    desk.write("ant")
    assert desk.run().code == 0
    each = 40_594 * 37 / 1e6
    desk.sections = {
        "pricing": {"currency": "CNY", "per_million_tokens": {MODEL: 37}},
        "budget": {"cost": round(2 * each + 0.01, 6)},
    }
    desk.write("ant", "bee", "cat", concurrency=1)
    done = desk.run()
    assert done.code == 75
    assert len(sim.charges()) == 2
    assert costs(desk)["ant"] == ("0.227326", "USD")
    assert costs(desk)["bee"] == ("1.501978", "CNY")


def test_an_earlier_submission_without_a_price_stops_a_budget_of_money(desk: Any, sim: Any) -> None:
    """In the new currency it would count as nothing: exit 2, nothing is sent."""
    sim.start()
    desk.write("ant")
    assert desk.run().code == 0
    desk.sections = {
        "pricing": {"currency": "JPY", "per_million_tokens": {"dreamina-seedance-2-0": 1000}},
        "budget": {"cost": 1000},
    }
    desk.write({"id": "bee", "prompt": "bee", "model": "dreamina-seedance-2-0"})
    refused = desk.run()
    assert (refused.code, len(sim.charges())) == (2, 1)
    assert f"can't count 1 earlier submission of {MODEL}, which have no price in JPY" in refused.stderr
    assert "pricing.per_million_tokens" in refused.stderr


@pytest.mark.parametrize(
    ("quota", "fault", "warned"),
    [
        (3 * HOLD, None, False),
        (2 * HOLD, None, False),
        (HOLD + 1, None, True),
        (HOLD + 1, "refused", False),
        (HOLD + 1, "html_502", False),
        (HOLD + 1, "cut", False),
    ],
)
def test_a_balance_that_may_not_last_is_said_before_anything_is_paid(
    desk: Any, sim: Any, quota: int, fault: str | None, warned: bool
) -> None:
    """Ten tasks need 2.27 USD; the key has more or less. Where it can't be read, nothing is said."""
    faults = [{"on": "billing", "do": fault}] if fault else []
    sim.start(*faults, keys={KEY: {"name": "main", "quota": quota}})
    desk.write(*"ABCDEFGHIJ")
    done = desk.run()
    told = "warning: the balance of 1.40 USD may not last for 10 tasks, up to 2.27 USD"
    assert (told in done.output) is warned
    assert ("balance of" in done.output) is warned
    assert sim.charges()


def test_a_balance_is_used_to_the_last_final_price(desk: Any, sim: Any) -> None:
    """It pays 40 holds but 250 final prices: all 250 are made, and only then the run ends with 4.

    Holds that are given back make room: 28,600,000 units are less than 41 holds; after 250 final prices of
    111,694 units, less than a hold is left.
    """
    sim.start(balance=28_600_000)
    desk.defaults = {**desk.defaults, "metadata": {"resolution": "480p", "ratio": "4:3"}}
    desk.write(*(f"n{number:03}" for number in range(251)), concurrency=64)
    done = desk.run()
    assert done.code == 4
    assert "balance too low for another task" in done.stdout
    charges = sim.charges()
    assert [charge["settled"] for charge in charges] == [111_694] * 250
    assert sorted(desk.states().values()) == ["done"] * 250 + ["pending"]
