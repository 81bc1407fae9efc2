"""The budget: never exceeded, used as far as it goes, and a run that it ends says what to raise."""

from collections.abc import Mapping
from typing import Any

import pytest

TOKENS = 40_594
"""Of one video of 4 seconds in 480p, 16:9: floor((24 * 4 + 1) * 864 * 496 / 1024)."""
PRICE = 5.6
"""USD per million tokens, the list price of the fast model."""


def spent(sim: Any) -> int:
    """The tokens of all charges in the gateway's book."""
    return sum(charge["tokens"] for charge in sim.charges())


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
