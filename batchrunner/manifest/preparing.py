"""Parses the templates in an entry's values and reports their faults."""

from __future__ import annotations

import re
from collections.abc import Callable

from batchrunner.core.text import closest
from batchrunner.manifest.nodes import Path
from batchrunner.manifest.splitting import FilterFault, Split, filtered
from batchrunner.manifest.templates import Exact, Filler, Fixed, Keyed, Listed, Names, Spread, Text
from batchrunner.manifest.value_faults import ValueFault, dotted

_TOKEN = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_ALONE = "make it the whole value of a field or of an item"
_BROKEN = Split("", "")
"""Placeholder for a filter whose fault was reported."""

Types = Callable[[Path], frozenset[str]]


class Preparer:
    """Parses the templates in a value; collects their names in `used` and faults in `faults`."""

    def __init__(self, names: Names | None, types: Types) -> None:
        """`names` is None if there are none; `types` gives the types allowed at a path."""
        self._names = names
        self._types = types
        self.used: set[str] = set()
        self.faults: list[ValueFault] = []
        self._split: Split | None = None
        """The split of the list item being prepared."""

    def prepare(self, value: object, path: Path = ()) -> Filler:
        """The value as templates, without keys whose value is null."""
        if isinstance(value, dict):
            items = {k: self.prepare(v, (*path, k)) for k, v in value.items() if v is not None}
            fixed = {key: item.value if isinstance(item, Fixed) else None for key, item in items.items()}
            moving = tuple((key, item) for key, item in items.items() if not isinstance(item, Fixed))
            is_input = path[:2] == ("metadata", "content") and len(path) > 2
            return Keyed(items, fixed, moving, is_input) if moving else Fixed(fixed)
        if isinstance(value, list):
            parts = tuple(self._item(v, (*path, i)) for i, v in enumerate(value))
            if all(isinstance(item, Fixed) for item in parts):
                return Fixed([item.value for item in parts if isinstance(item, Fixed)])
            return Listed(parts)
        if isinstance(value, str) and "$" in value:
            return self._text(value, path)
        return Fixed(value)

    def _item(self, value: object, path: Path) -> Filler | Spread:
        self._split = None
        filler = self.prepare(value, path)
        split, self._split = self._split, None
        return Spread(filler, split) if split is not None else filler

    def _text(self, text: str, path: Path) -> Filler:
        parts = [""]
        end = 0
        for token in _TOKEN.finditer(text):
            parts[-1] += text[end : token.start()]
            end = token.end()
            if token.group() == "$$":
                parts[-1] += "$"
            elif token.group(1) is None:
                hint = "write `${name}`, or `$${` for a literal `${`"
                self._add(path, "`${` is not closed", hint)
            elif "|" in token.group(1) and (split := self._filter(token.group(1), path)) is not None:
                if split is _BROKEN:
                    continue
                if token.group() == text:
                    return self._list(split, path)
                self._add(path, f"`{token.group()}` is a list and can't be part of a longer text", _ALONE)
            elif self._is_known(token.group(1).strip(), path):
                parts += [token.group(1).strip(), ""]
        parts[-1] += text[end:]
        self.used |= set(parts[1::2])
        if len(parts) == 1:
            return Fixed(parts[0])
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return Exact(parts[1], self._types(path))
        return Text(tuple(parts))

    def _filter(self, text: str, path: Path) -> Split | None:
        """The filter in a template; None if there is only a name."""
        try:
            return filtered(text, self._names.__contains__) if self._names is not None else None
        except FilterFault as fault:
            self._add(path, fault.message, fault.hint)
            return _BROKEN

    def _list(self, split: Split, path: Path) -> Filler:
        """The list of a cell's parts, or a value in an item that is repeated for each part."""
        if not self._is_known(split.name, path):
            return Fixed(None)
        self.used.add(split.name)
        if any(isinstance(key, int) for key in path):
            if self._split not in (None, split):
                self._add(path, "an item can be split by one column only", "use the other one unsplit")
            self._split = split
            return Exact(split.key, self._types(path))
        types = self._types((*path, 0))
        if "array" not in self._types(path):
            message = f"`${{{split.key}}}` is a list, and this field takes one value"
            self._add(path, message, f"write `${{{split.name}}}`")
            return Fixed(split.name)
        if "string" not in types:
            message = f"`${{{split.key}}}` is a list of texts, and this is a list of mappings"
            self._add(path, message, "use it as the `url` of one item, which is repeated for each part")
        return Listed((Spread(Exact(split.key, types), split),))

    def _is_known(self, name: str, path: Path) -> bool:
        if self._names is None:
            message = f"`${{{name}}}` is undefined: the entry has no `rows`, `files` or `matrix`"
            self._add(path, message, "add one of them, or write `$${` for a literal `${`")
            return False
        if name in self._names:
            return True
        near = closest(name, self._names.suggested)
        known = f"{self._names.listed}: {', '.join(self._names.suggested)}"
        hint = f"did you mean `${{{near}}}`? {known}" if near else known
        self._add(path, f"`${{{name}}}` {self._names.unknown}", hint)
        return False

    def _add(self, path: Path, message: str, hint: str) -> None:
        self.faults.append(ValueFault(path, f"in `{dotted(path)}`, {message}", hint))
