"""The filter in `${column|split:;}`: splits one cell into a list of values."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from batchrunner.core.text import closest

_SPLIT = "split"
_ESCAPES = {"\\n": "\n", "\\t": "\t"}


class Split(NamedTuple):
    """A parsed filter."""

    name: str
    separator: str

    @property
    def key(self) -> str:
        """The name of one part while it fills an item."""
        return f"{self.name}|{_SPLIT}:{self.separator}"

    def parts(self, value: object) -> list[object]:
        """The parts of a cell, stripped and without empty ones; for a list, its items."""
        if isinstance(value, list):
            return [item for item in value if item is not None and str(item).strip()]
        pieces = value.split(self.separator) if isinstance(value, str) else [value]
        return [piece.strip() if isinstance(piece, str) else piece for piece in pieces if _is_there(piece)]


def _is_there(piece: object) -> bool:
    return piece is not None and bool(str(piece).strip())


class FilterFault(Exception):
    """The text after the name is not a valid filter."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def filtered(text: str, is_name: Callable[[str], bool]) -> Split | None:
    """The filter in a template; None if there is only a name.

    A column whose own name contains a `|` is not a filter.

    Raises:
        FilterFault: the filter is unknown or incomplete.
    """
    if is_name(text.strip()) or "|" not in text:
        return None
    wrong: FilterFault | None = None
    for index in (index for index, char in enumerate(text) if char == "|"):
        name, rest = text[:index].strip(), text[index + 1 :]
        word, colon, separator = rest.partition(":")
        if word.strip() == _SPLIT and (is_name(name) or wrong is None):
            separator = separator.strip() or separator
            separator = _ESCAPES.get(separator, separator)
            if separator:
                return Split(name, separator)
            wrong = FilterFault(f"`${{{text}}}` has no separator", f"use `${{{name}|split:;}}`")
        elif is_name(name):
            near = closest(word.strip(), (_SPLIT,))
            cure = f"use `${{{name}|split:;}}` for several values in one cell"
            hint = f"did you mean `${{{name}|split{colon}{separator}}}`?" if near and separator else cure
            wrong = FilterFault(f"`{word.strip()}` is not a filter", hint)
    if wrong is not None:
        raise wrong
    return None
