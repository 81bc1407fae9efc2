"""Looks up a name in a row: a column, or a path inside a nested value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from batchrunner.manifest.multiples import TableRow

_MISSING: Final = object()
_ROWS_LISTED = 1000
_PATHS_LISTED = 40
_INDEX_DIGITS = 9


def cell(row: Mapping[str, object], name: str) -> object:
    """The value of `name` in a row; None if there is none.

    A key literally named `cam.move` wins over `move` inside `cam`.
    """
    value = row.get(name)
    if value is not None or "." not in name or name in row:
        return value
    value = _inside(row, name)
    return None if value is _MISSING else value


def _inside(row: Mapping[str, object], name: str) -> object:
    value: object = row
    for step in name.split("."):
        if isinstance(value, Mapping):
            value = value.get(step, _MISSING)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and len(step) <= _INDEX_DIGITS:
            value = value[int(step)] if int(step) < len(value) else _MISSING
        else:
            return _MISSING
    return value


class Nested:
    """The dotted names for nested values of some rows, searched on demand."""

    def __init__(self, rows: Iterable[TableRow]) -> None:
        self._rows = rows
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        if "." not in name:
            return False
        if name not in self._known:
            self._known[name] = any(_inside(row.cells, name) is not _MISSING for row in self._rows)
        return self._known[name]

    def names(self) -> tuple[str, ...]:
        """Names to suggest: those of plain values in the first rows, in order."""
        rows = islice(self._rows, _ROWS_LISTED)
        found = {
            name: None
            for row in rows
            for name in islice(_leaves(row.cells, ""), _PATHS_LISTED)
            if "." in name
        }
        return tuple(islice(found, _PATHS_LISTED))


def _leaves(value: object, name: str) -> Iterator[str]:
    """The dotted names below a value."""
    inner: Iterator[tuple[object, object]] = iter(())
    if isinstance(value, Mapping):
        inner = iter(value.items())
    elif isinstance(value, list):
        inner = iter(enumerate(value))
    else:
        yield name
    for step, below in inner:
        yield from _leaves(below, f"{name}.{step}" if name else str(step))
