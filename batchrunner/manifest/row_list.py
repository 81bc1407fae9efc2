"""The rows of a table, on disk: a file may have a million."""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Sequence
from typing import Any, cast, overload

from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.templates import Row
from batchrunner.manifest.temporary import temporary_database, temporary_files

TOGETHER = 500
"""How many rows are written and read as one."""


class RowList(Sequence[TableRow]):
    """A list to which rows can only be added; their cells are JSON values."""

    def __init__(self) -> None:
        self._new: list[tuple[int, int, Row]] = []
        self._written = 0
        self._last: tuple[int, list[TableRow]] = (-1, [])
        with temporary_files():
            self._db = temporary_database(self)
            self._db.execute("CREATE TABLE blocks (number INTEGER PRIMARY KEY, rows BLOB)")

    def append(self, row: TableRow) -> None:
        """Add a row; it is copied, soon."""
        self._new.append((row.number, row.line, row.cells))
        if len(self._new) >= TOGETHER:
            values = (self._written // TOGETHER, marshal.dumps(cast("list[Any]", self._new)))
            with temporary_files():
                self._db.execute("INSERT INTO blocks VALUES (?, ?)", values)
            self._written += len(self._new)
            self._new.clear()

    def __len__(self) -> int:
        return self._written + len(self._new)

    @overload
    def __getitem__(self, index: int) -> TableRow: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[TableRow]: ...

    def __getitem__(self, index: int | slice) -> TableRow | Sequence[TableRow]:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        if index >= self._written:
            return TableRow._make(self._new[index - self._written])
        number, place = divmod(index, TOGETHER)
        if self._last[0] != number:
            with temporary_files():
                found = self._db.execute("SELECT rows FROM blocks WHERE number = ?", (number,)).fetchall()
            self._last = number, list(_rows(found[0][0]))
        return self._last[1][place]

    def __iter__(self) -> Iterator[TableRow]:
        with temporary_files():
            for (value,) in self._db.execute("SELECT rows FROM blocks ORDER BY number"):
                yield from _rows(value)
        yield from map(TableRow._make, self._new)


def _rows(value: bytes) -> Iterator[TableRow]:
    return map(TableRow._make, marshal.loads(value))  # noqa: S302  written by this process
