"""Reads JSON into the same positioned values as `yaml_reader`.

YAML is not quite a superset of JSON: it has no surrogate pairs (`"\\ud83d\\ude00"`, JSON's escape for
a character beyond U+FFFF), no tabs before the first bracket, and no key that is longer than 1024
characters or on another line than its colon.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress

from batchrunner.core.text import is_text
from batchrunner.manifest.nodes import Node, collection
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.scalars import resolved
from batchrunner.manifest.source import Source, TextFault
from batchrunner.manifest.yaml_parser import MAX_DEPTH

_BLANK = re.compile(r"[ \t\n\r]*")
_PART = r'[^"\\\x00-\x1f]*'
_STRING = re.compile(rf'"{_PART}(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{{4}}){_PART})*"')
_OTHER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null")
_ESCAPE = re.compile(r"\\(?:u(?P<code>[0-9a-fA-F]{4})|.)")


class _NotJson(Exception):
    """The text is not JSON."""


def read_json(source: Source, report: Report) -> Node | None:
    """Parse a JSON text; None if it is not JSON.

    Raises:
        TextFault: it is unusable JSON: nested too deeply, or with an unpaired surrogate.
    """
    if source.text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return _JsonReader(source, report).document()
    except _NotJson:
        return None


def broken_at(text: str) -> int:
    """The column, from 1, at which a line stops being valid JSON."""
    reader = _JsonReader(Source("", text), Report())
    with suppress(_NotJson, TextFault):
        reader.document()
    return reader.at + 1


class _JsonReader:
    """Parses the text in one pass; `at` is the index of the unread rest."""

    def __init__(self, source: Source, report: Report) -> None:
        self._source = source
        self._text = source.text
        self._report = report
        self._found: list[tuple[tuple[int, int], str, str]] = []
        """Problems; they only count if the whole text is JSON."""
        self.at = 0

    def document(self) -> Node:
        """The whole text."""
        node = self._value(1)
        self._blank()
        if self.at < len(self._text):
            raise _NotJson
        for place, message, hint in self._found:
            self._report.add(self._source.place(*place), message, hint)
        return node

    def _value(self, depth: int) -> Node:
        self._blank()
        line, column = self._source.position(self.at)
        if depth > MAX_DEPTH:
            raise TextFault(
                f"nested more than {MAX_DEPTH} levels deep", "a manifest needs about five", line, column
            )
        match self._text[self.at : self.at + 1]:
            case "{":
                return self._object(line, column, depth)
            case "[":
                return self._array(line, column, depth)
            case '"':
                text = self._string()
                return Node(text, line, column, {}, 1, 1, text)
        written = self._take(_OTHER)
        return Node(resolved(written), line, column, {}, 1, 1, written)

    def _object(self, line: int, column: int, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        more = not self._opens_and_closes("}")
        while more:
            self._blank()
            place = self._source.position(self.at)
            key = self._string()
            self._sign(":")
            value = self._value(depth + 1)
            if key in keys:
                hint = f"first used in line {keys[key][0]}; keep one of the two"
                self._found.append((place, f"duplicate key `{key}`", hint))
            else:
                values[key], keys[key] = value, place
            more = self._goes_on("}")
        return collection((line, column), values, list(values.values()), keys)

    def _array(self, line: int, column: int, depth: int) -> Node:
        items: list[Node] = []
        more = not self._opens_and_closes("]")
        while more:
            items.append(self._value(depth + 1))
            more = self._goes_on("]")
        return collection((line, column), items, items, {})

    def _string(self) -> str:
        begin = self.at
        token = self._take(_STRING)
        if "\\" not in token:
            return token[1:-1]
        text: str = json.loads(token)
        if not is_text(text):
            place = self._source.position(begin + _half_in(token))
            hint = r"write both \u escapes, or the character itself"
            raise TextFault(r"half of a \u surrogate pair is missing", hint, *place)
        return text

    def _opens_and_closes(self, end: str) -> bool:
        """Skip the opening bracket, and the closing one if it follows immediately."""
        self.at += 1
        self._blank()
        if is_empty := self._text.startswith(end, self.at):
            self.at += 1
        return is_empty

    def _goes_on(self, end: str) -> bool:
        """Skip a comma or the closing bracket; return whether it was the comma."""
        self._blank()
        sign = self._text[self.at : self.at + 1]
        if sign not in (",", end):
            raise _NotJson
        self.at += 1
        return sign == ","

    def _sign(self, sign: str) -> None:
        self._blank()
        if not self._text.startswith(sign, self.at):
            raise _NotJson
        self.at += 1

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self.at)
        self.at = found.end() if found else self.at

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self.at)
        if not found:
            raise _NotJson
        self.at = found.end()
        return found.group()


def _half_in(token: str) -> int:
    """The position of an unpaired surrogate escape in a string."""
    open_at = -1
    for found in _ESCAPE.finditer(token):
        code = int(found["code"] or "0", 16)
        if 0xDC00 <= code < 0xE000 and open_at == found.start() - 6:
            open_at = -1
            continue
        if open_at >= 0:
            return open_at
        if 0xDC00 <= code < 0xE000:
            return found.start()
        open_at = found.start() if 0xD800 <= code < 0xDC00 else -1
    return max(open_at, 0)
