"""The rows of results.csv for Python, read from the ledger when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, overload

from batchrunner.core.errors import UsageError
from batchrunner.ledger import ResultRow, ResultRows, Unreadable
from batchrunner.ledger.glance import asked
from batchrunner.output.results import json_values

T = TypeVar("T")
AT_ONCE = 500
"""Rows read together."""


class TaskRows(Sequence[Mapping[str, object]]):
    """The rows of results.csv as they are in the ledger when they are read, in parts: there may be a million.

    Iterate over them, or take one or a slice by its position.
    """

    def __init__(self, directory: Path, videos_url: str = "") -> None:
        """`videos_url` is where its videos are stored; empty for the run directory."""
        self._directory, self._videos_url = directory.absolute(), videos_url

    def __repr__(self) -> str:
        return f"TaskRows({str(self._directory)!r})"

    def __len__(self) -> int:
        return self._asked(lambda ledger: ledger.number())

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        labels, after = self._asked(lambda ledger: ledger.labels()), -1
        while rows := self._part(after, AT_ONCE):
            yield from (self._values(row, labels) for row in rows)
            after += len(rows)

    @overload
    def __getitem__(self, index: int) -> Mapping[str, object]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, object]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, object] | Sequence[Mapping[str, object]]:
        """One row by its position in the manifest, or several; only these are read."""
        wanted = range(len(self))[index]
        labels = self._asked(lambda ledger: ledger.labels())
        if isinstance(wanted, int):
            return self._values(self._part(wanted - 1, 1)[0], labels)
        if not wanted:
            return []
        first, last = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
        rows = self._part(first - 1, last - first + 1)
        return [self._values(rows[position - first], labels) for position in wanted]

    def _part(self, after: int, most: int) -> list[ResultRow]:
        # A run gives the tasks of its plan the positions from 0 on, without gaps.
        return self._asked(lambda ledger: ledger.part(after, most))

    def _values(self, row: ResultRow, labels: Sequence[str]) -> Mapping[str, object]:
        values = json_values(row, labels)
        name = values["file_name"]
        place = self._videos_url or self._directory
        return values | {"path": f"{place}/{name}" if name else None}

    def _asked(self, question: Callable[[ResultRows], T]) -> T:
        """Ask the ledger.

        Raises:
            UsageError: it is gone, or can't be read.
        """
        try:
            found = asked(self._directory, lambda db: (question(ResultRows(db, planned_only=True)),))
        except Unreadable as error:
            raise UsageError(f"the ledger in {self._directory} can't be read: {error}") from error
        if found is None:
            raise UsageError(f"{self._directory} has no ledger of batchrunner")
        return found[0]
