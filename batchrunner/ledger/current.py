"""What is going on in a run directory: since when, how fast, at what cost, and what happened last."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from batchrunner.core.progress import WINDOW, Money
from batchrunner.core.states import Event
from batchrunner.ledger.ledger import Ledger
from batchrunner.ledger.reader import LedgerReader

_BEGAN = "run_began"
_IN_FLIGHT = "('submitting', 'in_doubt', 'generating')"


class LastEvent(NamedTuple):
    """The newest event of any task."""

    at: float
    """Unix seconds."""
    id: str
    event: str
    to_state: str


async def note_begun(ledger: Ledger, at: float) -> None:
    """Record when the run that has the ledger began (Unix seconds).

    Raises:
        StorageError: it can't be written.
    """
    await ledger.set_meta(_BEGAN, repr(at))


async def begun_at(ledger: LedgerReader) -> float | None:
    """When the newest run began, in Unix seconds; None if unknown."""
    text = await ledger.meta(_BEGAN)
    return float(text) if text else None


async def money(ledger: LedgerReader) -> Money:
    """What all attempts are charged, or may be, as the budget counts them."""
    return await ledger.ask_history(_money)


async def collected_since(ledger: LedgerReader, now: float) -> Sequence[float]:
    """When videos were collected in the last minutes that make the rate, in Unix seconds, oldest first."""
    return await ledger.ask_history(lambda db: _collected(db, now - WINDOW))


async def last_event(ledger: LedgerReader) -> LastEvent | None:
    """The newest event; None if nothing has happened."""
    query = (
        "SELECT e.at, t.id, e.event, e.to_state FROM events e JOIN tasks t ON t.key = e.task "
        "ORDER BY e.id DESC LIMIT 1"
    )
    rows = await ledger.ask_history(lambda db: db.execute(query).fetchall())
    return LastEvent(*rows[0]) if rows else None


def _money(db: sqlite3.Connection) -> Money:
    ((total,),) = db.execute("SELECT coalesce(sum(cost), 0) FROM spending")
    ((reserved,),) = db.execute(
        "SELECT coalesce(sum(a.committed_cost), 0) FROM tasks t JOIN attempts a ON a.id = t.attempt "
        f"WHERE t.state IN {_IN_FLIGHT}"
    )
    newest = db.execute("SELECT worst_currency FROM attempts ORDER BY id DESC LIMIT 1").fetchall()
    return Money(total - reserved, reserved, next((row[0] or "" for row in newest), ""))


def _collected(db: sqlite3.Connection, since: float) -> list[float]:
    found = []
    # Newest first, so that a long history is not read.
    for at, event in db.execute("SELECT at, event FROM events ORDER BY id DESC"):
        if at < since:
            break
        if event == Event.COLLECTED:
            found.append(at)
    return found[::-1]
