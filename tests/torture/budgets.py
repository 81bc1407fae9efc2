"""Budgets by chance, and whether the charge book keeps within them and close to them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tests.harness.run_directory import Row
from tests.torture.case_folder import MORE_CHAINS

WORST = (24 * 4 + 1) * 864 * 496 // 1024
"""Tokens of a task of 4 seconds in 480p whose ratio is the largest."""
PRICE = 5.6
"""USD per million tokens, the list price of the fast model."""
MOST_TASKS = 4
"""Less than the tasks of a case, so that a budget mostly ends a run."""
_ROUNDING = 1e-6


def budget_of(seed: int, manifest: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The `budget` of a manifest that a seed stands for; empty in a third of the cases.

    For chains it is in tasks, if anything: a video that another one is made from costs tokens, too.
    """
    chance = random.Random(f"budget {seed}")
    tokens, tasks = chance.randint(WORST, MOST_TASKS * WORST), chance.randint(1, MOST_TASKS)
    budgets: list[dict[str, Any]] = [{}, {"tokens": tokens}, {"tasks": tasks}]
    budgets += [{"cost": round(tokens * PRICE / 1e6 + 0.0001, 4)}, {"tokens": tokens, "tasks": tasks}, {}]
    budget = chance.choice(budgets)
    return {"tasks": tasks} if budget and manifest is MORE_CHAINS else budget


def _figures(tokens: int, tasks: int) -> dict[str, float]:
    return {"tokens": tokens, "tasks": tasks, "cost": tokens * PRICE / 1e6}


def over(budget: Mapping[str, Any], charges: Sequence[Mapping[str, Any]]) -> str:
    """Which limit the standing charges exceed; empty if they keep within all. No charge is refunded here."""
    standing = _figures(sum(charge["tokens"] for charge in charges), len(charges))
    wrong = [name for name, most in budget.items() if standing[name] > most + _ROUNDING]
    return f"the budget is {budget}, charged is {standing}" if wrong else ""


def room_left(
    budget: Mapping[str, Any], charges: Sequence[Mapping[str, Any]], rows: Sequence[Row], lost: int
) -> str:
    """What shows that one more task would have fitted; empty if none would.

    A doubt holds its worst case, whether it was charged or not; so do those that a person declared `lost`.
    """
    known = {row["remote_id"] for row in rows if row["tokens"]}
    settled = [charge["tokens"] for charge in charges if charge["remote_id"] in known]
    doubts = sum(row["state"] == "in_doubt" for row in rows) + lost
    committed = _figures(sum(settled) + doubts * WORST, len(settled) + doubts)
    one_more = _figures(WORST, 1)
    fits = all(committed[name] + one_more[name] <= most - _ROUNDING for name, most in budget.items())
    return f"the budget is {budget}, committed is only {committed}" if fits else ""
