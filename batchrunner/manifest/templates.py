"""Templates: values containing `${name}`, filled from one row or combination at a time.

An entry is parsed once and filled many times; values without templates are shared by all its tasks.
Values from a row are not expanded again, so a `${…}` in a cell is literal text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from batchrunner.manifest.cells import Nested, cell
from batchrunner.manifest.nodes import Path
from batchrunner.manifest.splitting import Split

Row = Mapping[str, object]


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""The value of an empty cell: the key is treated as missing."""

_HOLDERS = frozenset({"image_url", "video_url", "audio_url", "text", "url"})
"""The keys that hold the input in an item of `metadata.content`."""
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}(\.0+)?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Names(NamedTuple):
    """The names that `${…}` may use in an entry."""

    known: tuple[str, ...]
    unknown: str
    """The message for an unknown name, such as `is not a column of rows.csv`."""
    listed: str = "valid names"
    """The label for a list of all names."""
    nested: Nested | None = None
    """The dotted names inside their values."""

    def __contains__(self, name: object) -> bool:
        return name in self.known or (self.nested is not None and str(name) in self.nested)

    @property
    def suggested(self) -> tuple[str, ...]:
        """Names to suggest."""
        inside = self.nested.names() if self.nested is not None else ()
        return tuple(dict.fromkeys((*self.known, *inside)))


@dataclass(frozen=True, slots=True)
class Fixed:
    """A value without templates."""

    value: object

    def fill(self, row: Row) -> object:
        """The value itself, shared by all tasks."""
        return self.value


@dataclass(frozen=True, slots=True)
class Exact:
    """`${name}` alone: takes the type that the request has at this path."""

    name: str
    types: frozenset[str]

    def fill(self, row: Row) -> object:
        """The name's value."""
        value = row.get(self.name)
        # Most values are texts, and stay as they are.
        if type(value) is str and "integer" not in self.types and "boolean" not in self.types:
            return value if value and not value.isspace() else ABSENT
        return typed(cell(row, self.name), self.types)


@dataclass(frozen=True, slots=True)
class Text:
    """Text containing names, which are the parts at odd indexes."""

    parts: tuple[str, ...]

    def fill(self, row: Row) -> object:
        """The text with its names replaced."""
        return "".join([_in_text(cell(row, part)) if i % 2 else part for i, part in enumerate(self.parts)])


@dataclass(frozen=True, slots=True)
class Keyed:
    """A mapping containing templates."""

    items: Mapping[str, Filler]
    fixed: Mapping[str, object]
    """All keys in order, with the values that are the same in every row."""
    moving: tuple[tuple[str, Filler], ...]
    """The other values."""
    is_input: bool = False
    """Whether it is an input or its URL: then it is absent if its cell is empty."""

    def fill(self, row: Row) -> object:
        """The mapping, without the keys whose cells are empty."""
        result = dict(self.fixed)
        for key, filler in self.moving:
            value = filler.fill(row)
            if value is ABSENT:
                if self.is_input and key in _HOLDERS:
                    return ABSENT
                del result[key]
            else:
                result[key] = value
        return result


@dataclass(frozen=True, slots=True)
class Spread:
    """A list item that is repeated for each part of a cell."""

    item: Filler
    split: Split

    def fill_all(self, row: Row) -> list[object]:
        """The items; none for an empty cell."""
        parts = self.split.parts(cell(row, self.split.name))
        items = (self.item.fill({**row, self.split.key: part}) for part in parts)
        return [item for item in items if item is not ABSENT]


@dataclass(frozen=True, slots=True)
class Listed:
    """A list containing templates."""

    items: tuple[Filler | Spread, ...]

    def fill(self, row: Row) -> object:
        """The list, without the items whose cells are empty; absent when none is left."""
        return [value for item in self.items for value in _filled(item, row)] or ABSENT


def _filled(item: Filler | Spread, row: Row) -> list[object]:
    if isinstance(item, Spread):
        return item.fill_all(row)
    value = item.fill(row)
    return [] if value is ABSENT else [value]


Filler = Fixed | Exact | Text | Keyed | Listed
"""A parsed value; fills to ABSENT if its cell is empty."""


def names_in(filler: Filler | Spread) -> set[str]:
    """The names used in a value."""
    match filler:
        case Fixed():
            return set()
        case Exact(name, _):
            return {name}
        case Text(parts):
            return set(parts[1::2])
        case Keyed(items):
            return set().union(*map(names_in, items.values()))
        case Spread(item, split):
            return names_in(item) - {split.key} | {split.name}
        case Listed(items):
            return set().union(*map(names_in, items))


def embedded(filler: Filler, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Each name inside a longer text, with the text's path in the source."""
    match filler:
        case Text(parts):
            yield from ((path, name) for name in parts[1::2])
        case Keyed(items):
            for key, item in items.items():
                yield from embedded(item, (*path, key))
        case Listed(listed):
            for index, part in enumerate(listed):
                yield from embedded(part.item if isinstance(part, Spread) else part, (*path, index))


def names_behind(filler: Filler, row: Row, path: Path) -> tuple[tuple[str, ...], Path]:
    """The names used at `path` in the filled value, and the corresponding path in the source.

    The paths differ if empty cells made a list shorter.
    """
    written: Path = ()
    real: dict[str, str] = {}
    """Column names by the names of their parts."""
    for key in path:
        if isinstance(filler, Keyed):
            filler = filler.items.get(str(key), Fixed(None))
            written += (key,)
        elif isinstance(filler, Listed) and isinstance(key, int):
            there = [i for i, item in enumerate(filler.items) for _ in _filled(item, row)]
            index = there[key] if key < len(there) else key
            item = filler.items[index] if index < len(filler.items) else Fixed(None)
            if isinstance(item, Spread):
                real[item.split.key], item = item.split.name, item.item
            filler = item
            written += (index,)
        else:
            break
    if isinstance(filler, Exact):
        return (real.get(filler.name, filler.name),), written
    if isinstance(filler, Text):
        return filler.parts[1::2], written
    return (), (*written, *path[len(written) :])


def is_blank(value: object) -> bool:
    """Whether a cell is empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def typed(value: object, types: frozenset[str]) -> object:
    """Convert a cell to the wanted type; unchanged if that fails: the schema check reports it better."""
    if is_blank(value):
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
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
