"""What a run directory's ledger says about its run as a whole, without changing or locking it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from batchrunner.core.needs_unmet import NEED_FAILED, NEED_IN_DOUBT
from batchrunner.ledger.glance import asked

_UNFINISHED = (
    "SELECT 1 FROM tasks WHERE state IN ('submitting', 'generating', 'collecting') "
    f"OR (state = 'pending' AND position IS NOT NULL "
    f"AND error_code NOT IN ('{NEED_FAILED}', '{NEED_IN_DOUBT}')) LIMIT 1"
)
_TO_COLLECT = (
    "SELECT 1 FROM tasks "
    "WHERE state IN ('submitting', 'in_doubt', 'generating', 'collecting', 'uncollected') LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Outline:
    """Whose run it is, and what is left to do."""

    gateway: str
    manifest: str
    """The name of its manifest."""
    unfinished: bool
    """Whether the same command would go on with it, without a person's decision."""
    to_collect: bool
    """Whether tasks are, or may be, paid for and not downloaded."""


def outline(directory: Path) -> Outline | None:
    """Read the outline of a run: of any version, even while it works; None if it is not one of ours.

    Raises:
        Unreadable: the ledger can't be read.
    """
    return asked(directory, _outline)


def _outline(db: sqlite3.Connection) -> Outline:
    meta = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('gateway', 'manifest')"))
    return Outline(
        meta.get("gateway", ""),
        meta.get("manifest", ""),
        bool(db.execute(_UNFINISHED).fetchall()),
        bool(db.execute(_TO_COLLECT).fetchall()),
    )
