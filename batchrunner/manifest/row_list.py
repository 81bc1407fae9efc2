"""The rows of a table, on disk: a file may have a million."""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Sequence
from typing import Any, cast, overload

from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.temporary import AT_ONCE, temporary_database, temporary_files

_TABLE = "CREATE TABLE items (place INTEGER PRIMARY KEY, number INTEGER, line INTEGER, cells BLOB)"
_SELECT = "SELECT number, line, cells FROM items"


class RowList(Sequence[TableRow]):
    """A list to which rows can only be added; their cells are JSON values."""

    def __init__(self) -> None:
        self._length = 0
        self._new: list[tuple[int, int, int, bytes]] = []
        with temporary_files():
            self._db = temporary_database(self)
            self._db.execute(_TABLE)

    def append(self, row: TableRow) -> None:
        """Add a row; it is copied."""
        number, line, cells = row
        self._new.append((self._length, number, line, marshal.dumps(cast("dict[str, Any]", cells))))
        self._length += 1
        if len(self._new) >= AT_ONCE:
            self._write()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> TableRow: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TableRow]: ...

    def __getitem__(self, index: int | slice) -> TableRow | Sequence[TableRow]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        self._write()
        with temporary_files():
            found = self._db.execute(f"{_SELECT} WHERE place = ?", (index % self._length,)).fetchall()
        return next(map(_row, found))

    def __iter__(self) -> Iterator[TableRow]:
        self._write()
        with temporary_files():
            yield from map(_row, self._db.execute(f"{_SELECT} ORDER BY place"))

    def _write(self) -> None:
        if self._new:
            with temporary_files():
                self._db.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", self._new)
            self._new.clear()


def _row(values: tuple[int, int, bytes]) -> TableRow:
    number, line, cells = values
    return TableRow(number, line, marshal.loads(cells))  # noqa: S302  written by this process
