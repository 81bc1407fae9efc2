"""Ledgers as earlier versions left them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

COMMITTED = ("committed_tokens", "committed_cost", "committed_tasks")
LATER = ("hold", "quota", "charged_usd", "worst_currency", "least_tokens", "account")
"""Columns that later versions added."""


def as_fifth_version(ledger: Path) -> None:
    """Turn a ledger into one of version 5, whose sums knew no currency."""
    with closing(sqlite3.connect(ledger)) as db:
        db.executescript("DROP TRIGGER attempt_reserved; DROP TRIGGER attempt_settled;")
        for name in (*COMMITTED, *LATER):
            db.execute(f"ALTER TABLE attempts DROP COLUMN {name}")
        for name in COMMITTED:
            db.execute(f"ALTER TABLE attempts ADD COLUMN {name} INTEGER AS (7) VIRTUAL")
        db.execute("PRAGMA user_version = 5")
