"""What the ledger counts against a budget, as the gateway settles it."""

from dataclasses import replace
from pathlib import Path

import pytest

from batchrunner.core.budget import Figure, Limit, Per, WorstCase
from batchrunner.core.estimate import worst_case
from batchrunner.core.file_names import LEDGER_NAME
from batchrunner.core.model import Pricing, RemoteId
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.core.summary import PriceSeen, Spent
from batchrunner.ledger import OverBudget, charged_unpriced
from batchrunner.manifest import load_limits, load_manifest
from tests.harness.older_ledger import as_fifth_version

USD = {"worst_of": lambda request: WorstCase(1000, 2.0, "USD", least_tokens=100)}
CNY = {"worst_of": lambda request: WorstCase(1000, 14.0, "CNY")}


def settles(key, **facts):
    """A story: the task is submitted, accepted and settled so."""

    async def story(ledger):
        attempt = await ledger.claim(key, None, None)
        taken = AttemptFacts(outcome="accepted", remote_id=RemoteId(f"task_{key}"), hold=5000)
        await ledger.move(key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=taken), attempt.id)
        ended = Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=AttemptFacts(**facts))
        await ledger.move(key, ended, attempt.id)

    return story


def counted(on_disk) -> float:
    """What counts against a budget, in units of the currency."""
    return on_disk.one("SELECT sum(cost) FROM spending") / 1e6


def test_a_charge_below_the_price_of_its_tokens_frees_nothing(in_ledger, filled, on_disk):
    """Only a refund does; a higher charge counts as it is, and so does all of an unknown number of tokens."""
    for key, (facts, total) in zip(
        filled("a", "b", "c", "d", "e", "f"),
        [
            ({"tokens": 500, "cost": 0.001, "currency": "USD"}, 1.0),
            ({"tokens": 500, "cost": 1.5, "currency": "USD"}, 1.0 + 1.5),
            ({"cost": 0.001, "currency": "USD"}, 1.0 + 1.5 + 2.0),
            ({"tokens": 0, "cost": 0.0}, 1.0 + 1.5 + 2.0),
            ({"tokens": 99, "cost": 0.001, "currency": "USD"}, 1.0 + 1.5 + 2.0 + 2.0),  # implausible
            ({"tokens": 100, "cost": 0.001, "currency": "USD"}, 1.0 + 1.5 + 2.0 + 2.0 + 0.2),
        ],
        strict=True,
    ):
        in_ledger(settles(key, **facts), **USD)
        assert counted(on_disk) == total


def test_implausibly_few_tokens_free_nothing(in_ledger, filled, on_disk):
    """Below what any such video has, the figure is wrong: all of it stays reserved."""
    for key, (tokens, total) in zip(filled("a", "b", "c"), [(1, 1000), (99, 2000), (100, 2100)], strict=True):
        in_ledger(settles(key, tokens=tokens), **USD)
        assert on_disk.one("SELECT sum(tokens) FROM spending") == total


@pytest.mark.parametrize(
    ("duration", "made", "counted"),
    [(5, None, 6), (5, 5.042, 6), (5, 6.5, 7), (5, 4.0, 6), (-1, 5.042, None)],
)
def test_the_video_that_a_task_needs_is_reserved_as_long_as_it_is(
    tmp_path, in_ledger, on_disk, duration, made, counted
):
    """As requested, or longer if it came out so; if its request leaves that open, as the longest there is."""
    limits = load_limits()
    path = Path(tmp_path, "m.yaml")
    path.write_text(
        f"""
version: 1
defaults: {{model: dreamina-seedance-2-0-fast, metadata: {{ratio: "16:9"}}}}
tasks:
  - {{id: ant, prompt: A, duration: {duration}}}
  - id: bee
    prompt: B
    duration: 5
    metadata:
      content: [{{type: video_url, role: reference_video, video_url: {{url: "task:ant/video"}}}}]
""".replace("duration: -1", "metadata: {duration: -1}"),
        encoding="utf-8",
    )
    tasks = load_manifest(path).plan
    ant, bee = (task.key for task in tasks.tasks)

    async def story(ledger):
        await ledger.reconcile(tasks, frozenset())
        attempt = await ledger.claim(ant, None, None)
        await ledger.note(attempt.id, AttemptFacts(duration=made))
        await ledger.claim(bee, None, None)

    in_ledger(story, worst_of=lambda request: worst_case(request, limits, Pricing()))
    frames = (5 + (counted or limits.common.inputs.video_seconds)) * 24 + 1
    reserved = on_disk.one("SELECT worst_tokens FROM attempts WHERE task = ?", bee)
    assert reserved == frames * 1280 * 720 // 1024


def test_a_known_higher_charge_counts_though_the_manifest_has_prices(in_ledger, filled, on_disk):
    """In USD, if the prices are in USD: other currencies can't be compared."""
    first, second = filled("a", "b")
    in_ledger(settles(first, tokens=500, cost=1.0, currency="USD", charged_usd=9.0), **USD)
    assert counted(on_disk) == 9.0
    in_ledger(settles(second, tokens=500, cost=7.0, currency="CNY", charged_usd=90.0), **CNY)
    assert counted(on_disk) == 9.0 + 7.0


def test_what_has_no_price_after_a_change_of_currency_is_named(in_ledger, filled):
    """It would count as nothing in a limit of money; what was refunded does not matter."""
    first, second = filled("a", "b")
    in_ledger(settles(first, tokens=500, cost=1.0, currency="USD"), **USD)
    in_ledger(settles(second, tokens=0, cost=0.0), **USD)

    async def story(ledger):
        before = await charged_unpriced(ledger)
        await ledger.reserve_missing("JPY")
        return before, await charged_unpriced(ledger)

    yen = {"worst_of": lambda request: WorstCase(1000, None, "JPY")}
    assert in_ledger(story, **yen) == ({}, {"fast": 1})


def test_a_limit_of_money_takes_no_task_without_a_price(in_ledger, filled):
    """It would count as nothing; unless the user has agreed to such tasks by their tokens."""
    first, second = filled("a", "b")
    limit = Limit(Figure.COST, 10**9, Per.DIRECTORY, currency="JPY", name="confirmed total")

    async def story(ledger):
        with pytest.raises(OverBudget) as refused:
            await ledger.claim(first, None, None, [limit])
        await ledger.claim(second, None, None, [replace(limit, takes_unpriced=True)])
        return refused.value.used_up.why

    yen = {"worst_of": lambda request: WorstCase(1000, None, "JPY")}
    assert "the next task has no price" in in_ledger(story, **yen)


def test_two_currencies_are_never_added_up(in_ledger, filled, on_disk):
    """Where the currency of the prices changes, what was spent is counted anew at the new prices."""
    first, second, third = filled("a", "b", "c")
    in_ledger(settles(first, tokens=500, cost=900.0, currency="USD"), **USD)

    async def claimed(ledger):
        await ledger.claim(third, None, None)

    in_ledger(claimed, **USD)
    assert counted(on_disk) == 900.0 + 2.0

    async def in_yuan(ledger):
        await ledger.reserve_missing("CNY")
        await settles(second, tokens=500, cost=7.5, currency="CNY")(ledger)

    in_ledger(in_yuan, **CNY)
    assert counted(on_disk) == 7.0 + 14.0 + 7.5

    async def back(ledger):
        await ledger.reserve_missing("USD")

    in_ledger(back, **USD)
    assert counted(on_disk) == 900.0 + 2.0 + 1.0


def test_estimate_and_charge_are_summed_side_by_side(in_ledger, filled):
    """By currency; the gateway's own price is seen per model, only of charges in USD that are no holds."""
    first, second, third = filled("a", "b", "c")
    in_ledger(settles(first, tokens=500, cost=1.5, currency="USD", charged_usd=1.5, quota=750_000), **USD)
    in_ledger(settles(second, tokens=250, cost=0.5, currency="USD", quota=5000), **USD)
    in_ledger(settles(third, tokens=100, cost=1.0, currency="CNY", charged_usd=9.0, quota=1), **CNY)

    async def story(ledger):
        return await ledger.spent(), await ledger.prices_seen()

    spent, prices = in_ledger(story)
    assert spent == Spent(850, {"USD": 2.0, "CNY": 1.0}, 0, 0, 3000, {"USD": 4.0, "CNY": 14.0})
    assert prices == [PriceSeen("fast", "", 3000.0, 2000.0)]


def test_a_ledger_of_the_fifth_version_counts_the_same(in_ledger, filled, on_disk, tmp_path):
    """It had the sums, but neither the gateway's quota nor the currency of an estimate."""
    first, second = filled("a", "b")
    in_ledger(settles(first, tokens=500, cost=1.25, currency="USD"), **USD)

    async def claimed(ledger):
        await ledger.claim(second, None, None)

    in_ledger(claimed, **USD)
    as_fifth_version(tmp_path / LEDGER_NAME)

    async def upgraded(ledger):
        await ledger.reserve_missing("USD")

    in_ledger(upgraded, **USD)
    assert counted(on_disk) == 1.25 + 2.0
    assert on_disk.all("SELECT worst_currency FROM attempts") == [("USD",), ("USD",)]


def test_what_is_in_flight_is_held_against_the_budget_as_high_as_others_were_charged(in_ledger, filled):
    """A charge of twice the worst case raises the next claim, and those made before it, in all runs."""
    first, second, third = filled("a", "b", "c")

    async def story(ledger):
        await ledger.claim(second, None, None)
        await settles(first, tokens=2000, cost=4.0, currency="USD")(ledger)
        for limit in (Limit(Figure.TOKENS, 5999, Per.DIRECTORY), Limit(Figure.COST, 11_999_999, Per.RUN)):
            with pytest.raises(OverBudget) as caught:
                await ledger.claim(third, None, None, [limit])
            assert caught.value.used_up.committed * 3 == 2 * (limit.most + 1)
        await ledger.claim(third, None, None, [Limit(Figure.TOKENS, 6000, Per.DIRECTORY)])

    in_ledger(story, **USD)
