"""The budget: never exceeded, used as far as it goes, and a run that it ends says what to raise."""

from collections.abc import Mapping
from typing import Any

import pytest

TOKENS = 40_594
"""Of one video of 4 seconds in 480p, 16:9: floor((24 * 4 + 1) * 864 * 496 / 1024)."""
PRICE = 5.6
"""USD per million tokens, the list price of the fast model."""


@pytest.mark.parametrize(
    ("budget", "made", "raised"),
    [
        ({"tokens": 3 * TOKENS}, 3, "budget.tokens"),
        ({"tokens": 4 * TOKENS - 1}, 3, "budget.tokens"),
        ({"cost": 3 * TOKENS * PRICE / 1e6 + 0.001}, 3, "budget.cost"),
        ({"tasks": 2}, 2, "budget.tasks"),
    ],
)
def test_a_budget_ends_a_run_with_what_fits(
    desk: Any, sim: Any, budget: Mapping[str, Any], made: int, raised: str
) -> None:
    """What is in flight is finished and collected, exit 75; the next run goes no further."""
    sim.start()
    desk.sections = {"budget": budget}
    desk.write(*"ABCDEF", concurrency=2)
    for _ in range(2):
        done = desk.run()
        assert done.code == 75
        assert f"raise {raised}" in done.stdout
        assert len(sim.charges()) == made
        assert sorted(desk.states().values()) == ["done"] * made + ["pending"] * (6 - made)
    desk.sections = {}
    desk.write(*"ABCDEF", concurrency=2)
    assert desk.run().code == 0
    assert len(sim.charges()) == 6


@pytest.mark.parametrize("limit", [{"tokens": 7 * TOKENS}, {"cost": 7 * TOKENS * PRICE / 1e6}])
def test_a_gateway_that_charges_more_than_the_worst_case_is_learned_from(
    desk: Any, sim: Any, limit: Mapping[str, float]
) -> None:
    """After the first such charge, as much more is reserved for all, and is shown before the next run."""
    sim.start(makes={"tokens": 1.5})
    desk.sections = {"budget": limit}
    desk.write(*"ABCDEFGH", concurrency=2)
    assert desk.run().code == 75
    assert len(sim.charges()) == 4
    planned = desk.do("plan", "batch.yaml", *desk.at_gateway()[:2], "--json")
    assert planned.json["forecast"]["tokens"] == 4 * TOKENS * 1.5
    assert "the gateway has charged up to 1.50 times the worst case" in planned.stderr
    again = desk.run()
    assert (again.code, len(sim.charges())) == (75, 4)


def test_charged_failures_in_a_row_stop_submission(desk: Any, sim: Any) -> None:
    """Without a code or a refund, the fault is not the prompt's: ten are paid for nothing, not thirty."""
    sim.start({"on": "refresh", "do": "channel_lost"})
    desk.write(*(f"t{number:02}" for number in range(30)), concurrency=1)
    done = desk.run()
    assert (done.code, len(sim.charges())) == (1, 10)
    assert "10 generations in a row failed without an error code of the model" in done.stdout
    assert "Failed to get channel info" in done.stdout


def test_single_charged_failures_stop_nothing(desk: Any, sim: Any) -> None:
    """A video in between shows that others may succeed."""
    sim.start({"on": "refresh", "do": "channel_lost", "nth": [*range(1, 10), *range(11, 20)]})
    desk.write(*(f"t{number:02}" for number in range(21)), concurrency=1)
    assert desk.run().code == 1
    assert len(sim.charges()) == 21


def test_what_was_refunded_is_free_again(desk: Any, sim: Any) -> None:
    """A generation that fails gives its room back: three videos fit, though one was made twice."""
    sim.start({"on": "generate", "do": "fail", "nth": 1})
    desk.sections = {"budget": {"tokens": 3 * TOKENS}}
    desk.write(*"ABC", concurrency=1)
    assert desk.run().code == 0
    assert len(sim.charges()) == 4


def test_a_task_waits_for_room_that_another_may_leave(desk: Any, sim: Any) -> None:
    """The model chooses a shorter length than the worst case: what that leaves is enough for the second."""
    sim.start()
    worst = (24 * 15 + 1) * 864 * 496 // 1024
    desk.defaults = {**desk.defaults, "duration": -1}
    desk.sections = {"budget": {"tokens": 2 * worst - 1}}
    desk.write(*"AB", concurrency=2, draw_seed=False)  # other seeds could choose the longest
    assert desk.run().code == 0
    tokens = [charge["tokens"] for charge in sim.charges()]
    assert len(tokens) == 2
    assert sum(tokens) < 2 * worst


def test_a_doubt_holds_its_room(desk: Any, sim: Any) -> None:
    """Nobody knows whether it was charged: declaring it lost frees the task, not the money."""
    sim.start({"on": "submit", "do": "cut_before_accept", "nth": 1})
    desk.sections = {"budget": {"tasks": 2}}
    desk.write(*"ABC", concurrency=1)
    assert desk.run().code == 3
    assert sorted(desk.states().values()) == ["done", "in_doubt", "pending"]
    (doubt,) = (name for name, state in desk.states().items() if state == "in_doubt")
    assert desk.do("resolve", "batch.run", doubt, "--lost").code == 0
    ended = desk.run()
    assert ended.code == 75
    assert "raise budget.tasks" in ended.stdout
    assert len(sim.charges()) == 1


def test_max_cost_is_for_one_run(desk: Any, sim: Any) -> None:
    """Each run may spend as much again, and says that the option is what to raise."""
    sim.start()
    desk.write(*"ABC", concurrency=1)
    for made in (1, 2):
        done = desk.run("--max-cost", "0.3")
        assert done.code == 75
        assert "raise --max-cost" in done.stdout
        assert len(sim.charges()) == made


@pytest.mark.parametrize("amount", ["0", "-1", "nan", "inf", "1e12", "x"])
def test_an_invalid_amount_is_refused(desk: Any, amount: str) -> None:
    """Exit 2 before anything is sent."""
    desk.write("A")
    done = desk.do("run", "batch.yaml", "--simulate", f"--max-cost={amount}")
    assert done.code == 2
    assert "is not a valid amount" in done.stderr


def test_a_cost_needs_a_price(desk: Any, sim: Any) -> None:
    """A model without one could cost anything: exit 2, and nothing is sent."""
    sim.start()
    desk.sections = {"budget": {"cost": 5}}
    desk.write({"id": "A", "prompt": "A walks", "model": "another-model"})
    assert "no price for another-model" in desk.run().stderr
    desk.sections = {}
    desk.write({"id": "A", "prompt": "A walks", "model": "another-model"})
    done = desk.run("--max-cost", "5")
    assert done.code == 2
    assert "no price for another-model" in done.stderr
    assert sim.posts() == 0


def test_too_many_failures_stop_submission(desk: Any, sim: Any) -> None:
    """Exit 1 with as many failed as allowed; the rest is not sent."""
    sim.start({"on": "generate", "do": "fail"})
    desk.sections = {"budget": {"failures": 2}}
    desk.write(*"ABCDEF", concurrency=1)
    done = desk.run()
    assert done.code == 1
    assert "raise budget.failures" in done.stdout
    assert sorted(desk.states().values()) == ["failed"] * 2 + ["pending"] * 4
