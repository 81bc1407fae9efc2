"""What attempts are, or may be, charged: kept as sums, so that each claim can be held against the budget.

Triggers keep the sums: whatever changes an attempt, and whoever does, no charge can be forgotten.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchrunner.core.budget import Amount, Limit, Per, UsedUp, WorstCase, first_exceeded
from batchrunner.core.estimate import REFERENCE_CURRENCY
from batchrunner.core.model import AttemptId
from batchrunner.ledger.need_lengths import estimable
from batchrunner.ledger.overruns import learn, more_in_flight, overruns

WorstOf = Callable[[Mapping[str, Any]], WorstCase]
"""Estimates the most that one attempt at a normalised request can be charged."""

_MAY_BE_CHARGED = ("unknown", "lost", "adopted", "named")
"""Outcomes of a POST after which an attempt without a remote ID may be charged."""
# Not with IN: for each statement that evaluates it, SQLite would build a table of the values.
_NOT_CHARGED = " AND ".join(
    ("remote_id IS NULL AND outcome IS NOT NULL", *(f"outcome <> '{name}'" for name in _MAY_BE_CHARGED))
)
_SETTLED = "tokens IS NOT NULL AND (tokens = 0 OR tokens >= coalesce(least_tokens, 0))"
_SHARE = f"coalesce(CASE WHEN {_SETTLED} THEN tokens * worst_cost / worst_tokens END, worst_cost, 0)"
"""The price of the tokens charged, as estimated; the whole worst case while they are unknown."""
_SAME_CURRENCY = "CASE WHEN currency IS worst_currency THEN coalesce(cost, 0) ELSE 0 END"
_GATEWAY_CHARGE = (
    f"CASE WHEN worst_currency IS '{REFERENCE_CURRENCY}' THEN coalesce(charged_usd, 0) ELSE 0 END"
)
_COMMITTED = (
    f"""committed_tokens INTEGER AS (
        CASE WHEN {_SETTLED} THEN tokens WHEN {_NOT_CHARGED} THEN 0
        ELSE coalesce(worst_tokens, 0) END)""",
    f"""committed_cost INTEGER AS (CAST(round(1000000 *
        CASE WHEN tokens = 0 OR (tokens IS NULL AND {_NOT_CHARGED}) THEN 0
        ELSE max({_SHARE}, {_SAME_CURRENCY}, {_GATEWAY_CHARGE}) END) AS INTEGER))""",
    f"committed_tasks INTEGER AS (CASE WHEN tokens = 0 OR ({_NOT_CHARGED}) THEN 0 ELSE 1 END)",
)
"""Columns of each attempt: the gateway's figure where it is known, nothing if it surely was not charged, else
the worst case. A cost below the estimated price of the same tokens frees nothing: only a refund does. Money
is in millionths of the currency of the estimates, and `reserve_missing` sees to it that there is only one."""
ADD_COMMITTED = tuple(f"ALTER TABLE attempts ADD COLUMN {column} VIRTUAL" for column in _COMMITTED)

_SUMS = ("tokens", "cost", "tasks")
ADD_PLACEHOLDERS = tuple(
    f"ALTER TABLE attempts ADD COLUMN committed_{name} INTEGER AS (0) VIRTUAL" for name in _SUMS
)
"""The same columns for the upgrade to version 5, which had them without the currency."""
DROP_COMMITTED = (
    "DROP TRIGGER IF EXISTS attempt_reserved",
    "DROP TRIGGER IF EXISTS attempt_settled",
    "DROP TABLE IF EXISTS spending",
    *(f"ALTER TABLE attempts DROP COLUMN committed_{name}" for name in _SUMS),
)
_ADD = "INSERT INTO spending VALUES ({values}) ON CONFLICT (process) DO UPDATE SET " + ", ".join(
    f"{name} = {name} + excluded.{name}" for name in _SUMS
)
_NEW = _ADD.format(
    values=", ".join(("coalesce(NEW.process, '')", *(f"NEW.committed_{name}" for name in _SUMS)))
)
_CHANGED = _ADD.format(
    values=", ".join(
        ("coalesce(NEW.process, '')", *(f"NEW.committed_{name} - OLD.committed_{name}" for name in _SUMS))
    )
)
_DIFFERS = " OR ".join(f"NEW.committed_{name} IS NOT OLD.committed_{name}" for name in _SUMS)

CREATE_SPENDING = f"""
CREATE TABLE spending (
    process TEXT PRIMARY KEY,   -- which submitted the attempts; '' for those found again
    tokens  INTEGER NOT NULL,
    cost    INTEGER NOT NULL,   -- in millionths of the currency
    tasks   INTEGER NOT NULL    -- attempts that are, or may be, charged
) STRICT;

INSERT INTO spending
SELECT coalesce(process, ''), sum(committed_tokens), sum(committed_cost), sum(committed_tasks)
FROM attempts GROUP BY 1;

CREATE TRIGGER attempt_reserved AFTER INSERT ON attempts BEGIN {_NEW}; END;

CREATE TRIGGER attempt_settled AFTER UPDATE ON attempts WHEN {_DIFFERS}
BEGIN {_CHANGED}; END;
"""


def worst_case(db: sqlite3.Connection, key: str, worst_of: WorstOf | None) -> WorstCase:
    """The most that an attempt at this task can be charged."""
    if worst_of is None:
        return WorstCase()
    ((request,),) = db.execute("SELECT request FROM tasks WHERE key = ?", (key,))
    return worst_of(estimable(db, request))


def reserve(db: sqlite3.Connection, attempt: AttemptId, worst: WorstCase) -> None:
    """Record the most that an attempt can be charged, and learn if it was charged more."""
    query = (
        "UPDATE attempts SET worst_tokens = ?, least_tokens = ?, worst_cost = ?, worst_currency = ? "
        "WHERE id = ?"
    )
    db.execute(query, (*stored(worst), attempt))
    learn(db, attempt)


def stored(worst: WorstCase) -> tuple[int | None, int, float | None, str]:
    """An estimate as the columns of an attempt."""
    return worst.tokens, worst.least_tokens, worst.cost, worst.currency


def reserve_missing(db: sqlite3.Connection, worst_of: WorstOf, currency: str) -> None:
    """Record it for all attempts that may be charged and have none in this currency."""
    query = "SELECT id, task FROM attempts WHERE committed_tasks = 1 AND worst_currency IS NOT ?"
    for attempt, key in db.execute(query, (currency,)).fetchall():
        reserve(db, attempt, worst_case(db, key, worst_of))


def charged_without_price(db: sqlite3.Connection) -> Counter[str]:
    """How many attempts at each model may be charged, but have no price in the currency of the estimates."""
    query = (
        "SELECT coalesce(json_extract(t.request, '$.model'), ''), count(*) FROM attempts a "
        "JOIN tasks t ON t.key = a.task WHERE a.committed_tasks = 1 AND a.worst_cost IS NULL GROUP BY 1"
    )
    return Counter(dict(db.execute(query)))


def has_only(db: sqlite3.Connection, currency: str) -> bool:
    """Whether whatever may be charged was estimated in this currency."""
    query = "SELECT 1 FROM attempts WHERE committed_tasks = 1 AND worst_currency IS NOT ? LIMIT 1"
    return not db.execute(query, (currency,)).fetchall()


def committed(db: sqlite3.Connection, process: str) -> dict[Per, Amount]:
    """What is spent, reserved for tasks in flight and held by doubts: by this process, and in all runs."""
    sums = "SELECT coalesce(sum(tokens), 0), coalesce(sum(cost), 0), coalesce(sum(tasks), 0) FROM spending"
    return {
        Per.DIRECTORY: Amount(*db.execute(sums).fetchone()),
        Per.RUN: Amount(*db.execute(f"{sums} WHERE process = ?", (process,)).fetchone()),
    }


class OverBudget(Exception):
    """One more attempt could exceed the budget; nothing was changed."""

    def __init__(self, used_up: UsedUp) -> None:
        super().__init__(used_up)
        self.used_up = used_up


def check_budget(db: sqlite3.Connection, limits: Sequence[Limit], process: str, worst: WorstCase) -> None:
    """Check that one more attempt fits, before it is entered.

    Raises:
        OverBudget: it could exceed a limit.
    """
    if not limits:
        return
    assert worst.tokens is not None  # noqa: S101  who submits has estimates
    known, before = overruns(db), committed(db, process)
    if known:
        before[Per.DIRECTORY] += more_in_flight(db, known, None)
        before[Per.RUN] += more_in_flight(db, known, process)
    for limit in limits:
        if limit.is_of_cost and worst.cost is None and not limit.takes_unpriced:
            spent = before[limit.per].cost + (limit.elsewhere or 0)
            raise OverBudget(UsedUp(limit, spent, None))
    if used_up := first_exceeded(tuple(limits), before, known.raised(worst)):
        raise OverBudget(used_up)
