"""Remembers where each task of a plan comes from, to report tasks that are equal."""

from __future__ import annotations

from collections.abc import Iterator

from batchrunner.manifest.entries import Entry, Origin
from batchrunner.manifest.multiples import At
from batchrunner.manifest.temporary import AT_ONCE, temporary_database, temporary_files

_COLUMNS = "id, entry, item, combination, repetition"
_EQUAL_IDS = (
    f"SELECT {_COLUMNS} FROM origins WHERE id IN "
    "(SELECT id FROM origins WHERE id <> '' GROUP BY id HAVING count(*) > 1) ORDER BY position"
)


class Origins:
    """The origin of each task, in the order of the plan."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._new: list[tuple[str, int, int, int, int]] = []
        with temporary_files():
            self._db = temporary_database(self)
            self._db.execute(
                "CREATE TABLE origins (position INTEGER PRIMARY KEY, "
                "id TEXT, entry INTEGER, item INTEGER, combination INTEGER, repetition INTEGER)"
            )

    def add(self, origin: Origin) -> None:
        """Add the origin of the next task."""
        if not self._entries or self._entries[-1] is not origin.entry:
            self._entries.append(origin.entry)
        self._new.append((origin.id, len(self._entries) - 1, *origin.at, origin.repetition))
        if len(self._new) >= AT_ONCE:
            self._write()

    def of(self, position: int) -> Origin:
        """The origin of the task at a position in the plan."""
        return next(self._select(f"SELECT {_COLUMNS} FROM origins WHERE position = ?", position + 1))

    def with_equal_ids(self) -> Iterator[Origin]:
        """The origins of all tasks whose ID another one has, too, in the order of the plan."""
        return self._select(_EQUAL_IDS)

    def _select(self, query: str, *values: object) -> Iterator[Origin]:
        self._write()
        with temporary_files():
            for row in self._db.execute(query, values):
                yield self._origin(*row)

    def _origin(self, task_id: str, entry: int, item: int, combination: int, repetition: int) -> Origin:
        return Origin(self._entries[entry], At(item, combination), repetition, task_id)

    def _write(self) -> None:
        if self._new:
            insert = f"INSERT INTO origins ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"
            with temporary_files():
                self._db.executemany(insert, self._new)
            self._new.clear()
