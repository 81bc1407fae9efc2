"""Lists on disk, for what may be too much for memory: rows of a file, tasks of a plan.

They are in SQLite's own temporary files, which have no name: nothing is left of them, even after a kill.
"""

from __future__ import annotations

import pickle
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar, overload

from batchrunner.core.errors import StorageError

T = TypeVar("T")
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


class DiskList(Sequence[T], Generic[T]):
    """A list on disk, to which items can only be added."""

    def __init__(self) -> None:
        self._length = 0
        self._new: list[tuple[int, bytes]] = []
        with temporary_files():
            self._db = temporary_database(self)
            self._db.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, value BLOB)")

    def append(self, item: T) -> None:
        """Add an item; it is copied."""
        self._new.append((self._length, pickle.dumps(item, pickle.HIGHEST_PROTOCOL)))
        self._length += 1
        if len(self._new) >= AT_ONCE:
            self._write()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        self._write()
        with temporary_files():
            found = self._db.execute("SELECT value FROM items WHERE number = ?", (index % self._length,))
            ((value,),) = found.fetchall()
        item: T = pickle.loads(value)  # noqa: S301  written by this process, in a file without a name
        return item

    def __iter__(self) -> Iterator[T]:
        self._write()
        with temporary_files():
            for (value,) in self._db.execute("SELECT value FROM items ORDER BY number"):
                yield pickle.loads(value)  # noqa: S301  as above

    def _write(self) -> None:
        if self._new:
            with temporary_files():
                self._db.executemany("INSERT INTO items VALUES (?, ?)", self._new)
            self._new.clear()
