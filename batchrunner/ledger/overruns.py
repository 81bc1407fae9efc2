"""What the ledger has learned from charges above the worst case; see `core.overrun`."""

from __future__ import annotations

import sqlite3

from batchrunner.core.budget import MICROS, Amount, WorstCase
from batchrunner.core.model import AttemptId
from batchrunner.core.overrun import Overruns

_NAME = "overruns"
_COLUMNS = (
    "committed_tokens, committed_cost, worst_tokens, worst_cost, worst_currency, coalesce(process, '') = ?"
)


def overruns(db: sqlite3.Connection) -> Overruns:
    """Everything that was learned."""
    rows = db.execute("SELECT value FROM meta WHERE name = ?", (_NAME,))
    return Overruns.from_text("".join(value for (value,) in rows))


def learn(db: sqlite3.Connection, attempt: AttemptId) -> None:
    """Learn from the charge of an attempt, if it is known."""
    query = (
        f"SELECT {_COLUMNS} FROM attempts WHERE id = ? AND tokens IS NOT NULL AND worst_tokens > 0 "
        f"AND (committed_tokens > worst_tokens OR committed_cost > worst_cost * {MICROS})"
    )
    for tokens, cost, *worst, _ in db.execute(query, ("", attempt)):
        known = overruns(db)
        if (now := known.including(WorstCase(*worst), Amount(tokens, cost, 1))) != known:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_NAME, now.to_text()))


def more_in_flight(db: sqlite3.Connection, known: Overruns, process: str | None) -> Amount:
    """What attempts of unknown charge may be charged beyond what is reserved for them.

    Of this process, None for all.
    """
    query = f"SELECT {_COLUMNS} FROM attempts WHERE committed_tasks = 1 AND tokens IS NULL"
    tokens = cost = 0
    for reserved_tokens, reserved_cost, *worst, is_own in db.execute(query, (process or "",)):
        if is_own or process is None:
            raised = known.raised(WorstCase(*worst))
            tokens += max(0, raised.tokens - reserved_tokens)
            cost += max(0, raised.cost - reserved_cost)
    return Amount(tokens, cost, 0)
