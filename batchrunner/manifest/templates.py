"""Templates: values with `${column}` in them, filled from one row at a time.

An entry is prepared once, and then filled for every row; what holds no template is shared between all
of its tasks. What comes out of a row is never looked at again, so a `${…}` in a cell stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from batchrunner.manifest.faults import Fault, dotted
from batchrunner.manifest.keys import closest
from batchrunner.manifest.nodes import Path

Row = Mapping[str, object]


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""What an empty cell stands for: the key is as if it had not been written."""

_TOKEN = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}(\.0+)?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value without templates."""

    value: object


@dataclass(frozen=True, slots=True)
class Exact:
    """`${column}` and nothing else: it takes the type that stands there in the request."""

    column: str
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Text:
    """Text with columns in it; the odd parts are columns."""

    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Keyed:
    """A mapping with templates in it."""

    items: tuple[tuple[str, Filler], ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list with templates in it."""

    items: tuple[Filler, ...]


Filler = Fixed | Exact | Text | Keyed | Listed
Types = Callable[[Path], frozenset[str]]


class Preparer:
    """Finds the templates in a value; what is wrong with them is gathered in `faults`."""

    def __init__(self, columns: Collection[str] | None, file: str, types: Types) -> None:
        """`columns` is None where there are no rows; `types` says what is wanted at a path."""
        self._columns = columns
        self._file = file
        self._types = types
        self.faults: list[Fault] = []

    def prepare(self, value: object, path: Path = ()) -> Filler:
        """The value, ready to be filled; keys whose value is null are gone."""
        if isinstance(value, dict):
            pairs = tuple((k, self.prepare(v, (*path, k))) for k, v in value.items() if v is not None)
            if all(isinstance(item, Fixed) for _, item in pairs):
                return Fixed({key: item.value for key, item in pairs if isinstance(item, Fixed)})
            return Keyed(pairs)
        if isinstance(value, list):
            items = tuple(self.prepare(v, (*path, i)) for i, v in enumerate(value))
            if all(isinstance(item, Fixed) for item in items):
                return Fixed([item.value for item in items if isinstance(item, Fixed)])
            return Listed(items)
        if isinstance(value, str) and "$" in value:
            return self._text(value, path)
        return Fixed(value)

    def _text(self, text: str, path: Path) -> Filler:
        parts = [""]
        end = 0
        for token in _TOKEN.finditer(text):
            parts[-1] += text[end : token.start()]
            end = token.end()
            if token.group() == "$$":
                parts[-1] += "$"
            elif token.group(1) is None:
                self._add(
                    path, "`${` is not closed", "write `${column}`, or `$${` for the characters themselves"
                )
            elif self._known(token.group(1).strip(), path):
                parts += [token.group(1).strip(), ""]
        parts[-1] += text[end:]
        if len(parts) == 1:
            return Fixed(parts[0])
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return Exact(parts[1], self._types(path))
        return Text(tuple(parts))

    def _known(self, name: str, path: Path) -> bool:
        if self._columns is None:
            hint = "add `rows: file.csv` to the entry, or write `$${` for the characters themselves"
            self._add(path, f"`${{{name}}}` has nothing to stand for: the entry has no `rows`", hint)
            return False
        if name in self._columns:
            return True
        near = closest(name, self._columns)
        columns = f"columns: {', '.join(self._columns)}"
        hint = f"did you mean `${{{near}}}`? {columns}" if near else columns
        self._add(path, f"`${{{name}}}` names no column of {self._file}", hint)
        return False

    def _add(self, path: Path, message: str, hint: str) -> None:
        self.faults.append(Fault(path, f"in `{dotted(path)}`, {message}", hint))


def fill(filler: Filler, row: Row) -> object:
    """The value for one row; ABSENT where its cell is empty."""
    match filler:
        case Fixed(value):
            return value
        case Exact(column, types):
            return typed(row.get(column), types)
        case Text(parts):
            return "".join(_in_text(row.get(part)) if i % 2 else part for i, part in enumerate(parts))
        case Keyed(items):
            pairs = ((key, fill(item, row)) for key, item in items)
            return {key: value for key, value in pairs if value is not ABSENT}
        case Listed(items):
            values = [value for item in items if (value := fill(item, row)) is not ABSENT]
            return values or ABSENT


def columns_behind(filler: Filler, row: Row, path: Path) -> tuple[tuple[str, ...], Path]:
    """The columns that made what stands at `path` in the filled value, and the path as it was written.

    They differ where empty cells made a list shorter.
    """
    written: Path = ()
    for key in path:
        if isinstance(filler, Keyed):
            filler = dict(filler.items).get(str(key), Fixed(None))
            written += (key,)
        elif isinstance(filler, Listed) and isinstance(key, int):
            there = [i for i, item in enumerate(filler.items) if fill(item, row) is not ABSENT]
            index = there[key] if key < len(there) else key
            filler = filler.items[index] if index < len(filler.items) else Fixed(None)
            written += (index,)
        else:
            break
    if isinstance(filler, Exact):
        return (filler.column,), written
    if isinstance(filler, Text):
        return filler.parts[1::2], written
    return (), (*written, *path[len(written) :])


def typed(value: object, types: frozenset[str]) -> object:
    """A cell as the wanted type; as it is where it can't be, since the schema's check says it better."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return ABSENT
    if isinstance(value, str):
        if "integer" in types and _INTEGER.fullmatch(value.strip()):
            return int(value.strip().partition(".")[0])
        if "boolean" in types:
            return _BOOLEANS.get(value.strip().lower(), value)
        return value
    if "string" in types and isinstance(value, bool | int | float):
        return _in_text(value)
    return value


def _in_text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
