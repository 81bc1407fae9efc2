"""Aggregate queries over all tasks, run in the connection's thread."""

from __future__ import annotations

import json
import sqlite3

from batchrunner.core.summary import Spent

NOT_KNOWN = "('unknown', 'lost', 'adopted', 'named')"
"""Outcomes of attempts without a remote ID that may have been accepted."""


def labels(db: sqlite3.Connection, planned_only: bool) -> list[str]:
    """The names of all labels, in order of first appearance."""
    where = "labels <> '{}'" + (" AND position IS NOT NULL" if planned_only else "")
    query = f"SELECT labels FROM tasks WHERE {where} ORDER BY position IS NULL, position, rowid"
    texts = dict.fromkeys(text for (text,) in db.execute(query))
    return list(dict.fromkeys(name for text in texts for name in json.loads(text)))


def spent(db: sqlite3.Connection) -> Spent:
    """The total cost of all attempts, as far as known."""
    sums = "SELECT coalesce(currency, ''), total(tokens), total(cost) FROM attempts"
    found = db.execute(f"{sums} WHERE tokens > 0 GROUP BY 1").fetchall()
    ((unknown,),) = db.execute(
        "SELECT count(*) FROM attempts WHERE tokens IS NULL "
        f"AND (remote_id IS NOT NULL OR outcome IS NULL OR outcome IN {NOT_KNOWN})"
    )
    return Spent(
        tokens=int(sum(tokens for _, tokens, _ in found)),
        cost={name: round(cost, 6) for name, _, cost in found if name},
        unknown=unknown,
    )
