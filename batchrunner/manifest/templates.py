"""Templates: values with `${name}` in them, filled from one row or combination at a time.

An entry is prepared once, and then filled again and again; what holds no template is shared between all
of its tasks. What comes out of a row is never looked at again, so a `${…}` in a cell stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from batchrunner.manifest.cells import Nested, cell
from batchrunner.manifest.faults import Fault, dotted
from batchrunner.manifest.keys import closest
from batchrunner.manifest.nodes import Path

Row = Mapping[str, object]


class _Absent(Enum):
    ABSENT = "absent"


ABSENT: Final = _Absent.ABSENT
"""What an empty cell stands for: the key is as if it had not been written."""

_HOLDERS = frozenset({"image_url", "video_url", "audio_url", "text", "url"})
"""What holds the input in an item of `metadata.content`."""
_TOKEN = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_INTEGER = re.compile(r"[-+]?[0-9]{1,40}(\.0+)?")
_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Names(NamedTuple):
    """What `${…}` may stand for in an entry."""

    known: tuple[str, ...]
    unknown: str
    """What is said of another name: `names no column of rows.csv`."""
    listed: str = "known here"
    """What all of them are called."""
    nested: Nested | None = None
    """The dotted names inside their values."""

    def __contains__(self, name: object) -> bool:
        return name in self.known or (self.nested is not None and str(name) in self.nested)

    @property
    def suggested(self) -> tuple[str, ...]:
        """Those that a person may have meant."""
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
    """`${name}` and nothing else: it takes the type that stands there in the request."""

    name: str
    types: frozenset[str]

    def fill(self, row: Row) -> object:
        """The value of its name."""
        return typed(cell(row, self.name), self.types)


@dataclass(frozen=True, slots=True)
class Text:
    """Text with names in it; the odd parts are names."""

    parts: tuple[str, ...]

    def fill(self, row: Row) -> object:
        """The text, its names replaced."""
        return "".join([_in_text(cell(row, part)) if i % 2 else part for i, part in enumerate(self.parts)])


@dataclass(frozen=True, slots=True)
class Keyed:
    """A mapping with templates in it."""

    items: Mapping[str, Filler]
    fixed: Mapping[str, object]
    """All of its keys, in order, with the values that are the same in every row."""
    moving: tuple[tuple[str, Filler], ...]
    """The other values."""
    is_input: bool = False
    """Whether it stands for an input, or for its address, and so for nothing where that is empty."""

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
class Listed:
    """A list with templates in it."""

    items: tuple[Filler, ...]

    def fill(self, row: Row) -> object:
        """The list, without the items whose cells are empty; absent when none is left."""
        return [value for item in self.items if (value := item.fill(row)) is not ABSENT] or ABSENT


Filler = Fixed | Exact | Text | Keyed | Listed
"""A value, ready to be filled; what it gives is ABSENT where its cell is empty."""

Types = Callable[[Path], frozenset[str]]


class Preparer:
    """Finds the templates in a value: the names in `used`, and what is wrong with them in `faults`."""

    def __init__(self, names: Names | None, types: Types) -> None:
        """`names` is None where there are none; `types` says what is wanted at a path."""
        self._names = names
        self._types = types
        self.used: set[str] = set()
        self.faults: list[Fault] = []

    def prepare(self, value: object, path: Path = ()) -> Filler:
        """The value, ready to be filled; keys whose value is null are gone."""
        if isinstance(value, dict):
            items = {k: self.prepare(v, (*path, k)) for k, v in value.items() if v is not None}
            fixed = {key: item.value if isinstance(item, Fixed) else None for key, item in items.items()}
            moving = tuple((key, item) for key, item in items.items() if not isinstance(item, Fixed))
            is_input = path[:2] == ("metadata", "content") and len(path) > 2
            return Keyed(items, fixed, moving, is_input) if moving else Fixed(fixed)
        if isinstance(value, list):
            parts = tuple(self.prepare(v, (*path, i)) for i, v in enumerate(value))
            if all(isinstance(item, Fixed) for item in parts):
                return Fixed([item.value for item in parts if isinstance(item, Fixed)])
            return Listed(parts)
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
                hint = "write `${name}`, or `$${` for the characters themselves"
                self._add(path, "`${` is not closed", hint)
            elif self._is_known(token.group(1).strip(), path):
                parts += [token.group(1).strip(), ""]
        parts[-1] += text[end:]
        self.used |= set(parts[1::2])
        if len(parts) == 1:
            return Fixed(parts[0])
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return Exact(parts[1], self._types(path))
        return Text(tuple(parts))

    def _is_known(self, name: str, path: Path) -> bool:
        if self._names is None:
            message = f"`${{{name}}}` has nothing to stand for: the entry has no `rows`, `files` or `matrix`"
            self._add(path, message, "add one of them, or write `$${` for the characters themselves")
            return False
        if name in self._names:
            return True
        near = closest(name, self._names.suggested)
        known = f"{self._names.listed}: {', '.join(self._names.suggested)}"
        hint = f"did you mean `${{{near}}}`? {known}" if near else known
        self._add(path, f"`${{{name}}}` {self._names.unknown}", hint)
        return False

    def _add(self, path: Path, message: str, hint: str) -> None:
        self.faults.append(Fault(path, f"in `{dotted(path)}`, {message}", hint))


def names_in(filler: Filler) -> set[str]:
    """The names that a value is made from."""
    match filler:
        case Fixed():
            return set()
        case Exact(name, _):
            return {name}
        case Text(parts):
            return set(parts[1::2])
        case Keyed(items):
            return set().union(*map(names_in, items.values()))
        case Listed(items):
            return set().union(*map(names_in, items))


def embedded(filler: Filler, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Each name that stands within a longer text, with the path of the text as it was written."""
    match filler:
        case Text(parts):
            yield from ((path, name) for name in parts[1::2])
        case Keyed(items):
            for key, item in items.items():
                yield from embedded(item, (*path, key))
        case Listed(listed):
            for index, part in enumerate(listed):
                yield from embedded(part, (*path, index))


def names_behind(filler: Filler, row: Row, path: Path) -> tuple[tuple[str, ...], Path]:
    """The names that made what stands at `path` in the filled value, and the path as it was written.

    They differ where empty cells made a list shorter.
    """
    written: Path = ()
    for key in path:
        if isinstance(filler, Keyed):
            filler = filler.items.get(str(key), Fixed(None))
            written += (key,)
        elif isinstance(filler, Listed) and isinstance(key, int):
            there = [i for i, item in enumerate(filler.items) if item.fill(row) is not ABSENT]
            index = there[key] if key < len(there) else key
            filler = filler.items[index] if index < len(filler.items) else Fixed(None)
            written += (index,)
        else:
            break
    if isinstance(filler, Exact):
        return (filler.name,), written
    if isinstance(filler, Text):
        return filler.parts[1::2], written
    return (), (*written, *path[len(written) :])


def is_blank(value: object) -> bool:
    """Whether a cell is empty."""
    return value is None or (isinstance(value, str) and not value.strip())


def typed(value: object, types: frozenset[str]) -> object:
    """A cell as the wanted type; as it is where it can't be, since the schema's check says it better."""
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
