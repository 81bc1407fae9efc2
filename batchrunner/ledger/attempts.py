"""What the ledger writes of one attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields

import aiosqlite

from batchrunner.core.model import AttemptId
from batchrunner.core.policy import AttemptFacts


class RemoteIdTaken(Exception):
    """Another attempt has this remote id; nothing was changed."""


async def record_facts(db: aiosqlite.Connection, attempt: AttemptId, facts: AttemptFacts) -> None:
    """Write what became known of an attempt.

    Raises:
        RemoteIdTaken: the remote id is another attempt's.
    """
    if facts.remote_id is not None:
        query = "SELECT 1 FROM attempts WHERE remote_id = ? AND id <> ?"
        if list(await db.execute_fetchall(query, (facts.remote_id, attempt))):
            raise RemoteIdTaken(f"the gateway gave {facts.remote_id} to another submission, too")
    known: Mapping[str, object] = {
        field.name: value for field in fields(facts) if (value := getattr(facts, field.name)) is not None
    }
    if known:
        columns = ", ".join(f"{name} = ?" for name in known)  # names are the dataclass's own
        await db.execute(f"UPDATE attempts SET {columns} WHERE id = ?", (*known.values(), attempt))


async def unused_seed(db: aiosqlite.Connection, draw: Callable[[], int]) -> int:
    """Draw seeds until one comes that no attempt has."""
    while True:
        seed = draw()
        if not list(await db.execute_fetchall("SELECT 1 FROM attempts WHERE seed = ? LIMIT 1", (seed,))):
            return seed
