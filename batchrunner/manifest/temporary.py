"""Temporary databases, for what may be too much for memory: rows of a file, tasks of a plan.

They are SQLite's own temporary files, which have no name: nothing is left of them, even after a kill.
"""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from batchrunner.core.errors import StorageError

AT_ONCE = 1000
"""How many items are written in one step."""


@contextmanager
def temporary_files() -> Iterator[None]:
    """Convert errors of a temporary database.

    Raises:
        StorageError: its disk returned an error, or is full.
    """
    try:
        yield
    except sqlite3.Error as error:
        hint = "free space on the disk for temporary files, or set SQLITE_TMPDIR to a folder on another one"
        raise StorageError(f"can't write temporary files: {error}", hint) from error


def temporary_database(owner: object) -> sqlite3.Connection:
    """An empty database on disk, only for this process, closed with its owner.

    It can be used in any thread.
    """
    db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    weakref.finalize(owner, db.close)
    # There is nothing to recover after a crash.
    for setting in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE"):
        db.execute(f"PRAGMA {setting}")
    return db
