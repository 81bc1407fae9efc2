"""JSON rows: one object per line (jsonl), or an array of objects or object of arrays (json)."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from batchrunner.manifest.json_reader import broken_at
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats.table import RowsFile, look_inside
from batchrunner.manifest.templates import Row

_MAX_DEPTH = 32
_MOST_DIGITS = 300
_SHAPES = 'write an array of objects: [{"prompt": "…"}, …], or an object of arrays: {"prompt": ["…", …]}'
_LINES = "name the file .jsonl if it has one object per line"
_ROW_HINT = 'write each row as an object: {"id": "cat", "prompt": "…"}'
_BLANK = re.compile(r"[ \t\n\r]*")


def read_jsonl(table: RowsFile, lines: Iterable[str], report: Report) -> bool:
    """Read an object from each line; return False if no column is known."""
    number, may_be_nested = 0, False
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        number += 1
        try:
            row = _line_object(text.rstrip())
        except ValueError as error:
            place = table.text.place(line, row=number)
            hint = 'write one object per line: {"id": "cat", "prompt": "…"}'
            report.add(place, f"the line is not a JSON object: {error}", hint)
            continue
        table.rows.append(TableRow(number, line, row))
        if not row.keys() <= table.columns.keys():
            table.columns.update(dict.fromkeys(row))
        may_be_nested = may_be_nested or "[" in text or text.count("{") > 1
    if may_be_nested:
        look_inside(table)
    return bool(table.rows)  # without rows, the columns are unknown


def read_json(table: RowsFile, report: Report) -> bool:
    """Read rows from an array of objects or an object of arrays; return False if no column is known."""
    text = table.text.text
    start = _after_blank(text, 0)
    try:
        if text[start : start + 1] == "[":
            _read_array(table, start, report)
        elif text[start : start + 1] == "{":
            _read_columns(table, start, report)
        else:
            report.add(table.text.place(1), "the file contains neither an array nor an object", _SHAPES)
    except json.JSONDecodeError as error:
        _tell_broken(table, error.pos, "fix it here or just before", report)
        return False
    except RecursionError:
        report.add(table.text.place(1), "the JSON is nested too deeply", _SHAPES)
        return False
    look_inside(table)
    return bool(table.columns)


def _read_array(table: RowsFile, start: int, report: Report) -> None:
    """Read each object as a row; faulty ones are reported and skipped."""
    text, line, counted = table.text.text, 1, 0
    for number, item in enumerate(_items(text, start), start=1):
        line += text.count("\n", counted, item.begin)
        counted = item.begin
        try:
            if item.wrong:
                raise ValueError(item.wrong)
            row = _checked(item.value, text[item.begin : item.end])
        except ValueError as error:
            report.add(table.text.place(line, row=number), f"invalid row: {error}", _ROW_HINT)
            continue
        table.rows.append(TableRow(number, line, row))
        table.columns.update(dict.fromkeys(row))


def _read_columns(table: RowsFile, start: int, report: Report) -> None:
    """Read each array as a column; all must have the same length."""
    text = table.text.text
    place = table.text.place(1)
    item = _decoded(text, start)
    rest = _after_blank(text, item.end)
    if rest != len(text):
        _tell_broken(table, rest, _LINES, report)
        return
    try:
        if item.wrong:
            raise ValueError(item.wrong)
        columns = _checked(item.value, text)
    except ValueError as error:
        report.add(place, f"invalid file: {error}", _SHAPES)
        return
    lengths = {name: len(values) for name, values in columns.items() if isinstance(values, list)}
    if plain := [name for name in columns if name not in lengths]:
        report.add(place, f"the file contains one object, and its key {plain[0]!r} is not an array", _SHAPES)
    elif len(set(lengths.values())) > 1:
        (first, most), *others = lengths.items()
        other = next(name for name, length in others if length != most)
        message = f"the columns differ in length: {first!r} has {most}, and {other!r} has {lengths[other]}"
        report.add(place, message, "use null for missing values")
    else:
        table.columns.update(dict.fromkeys(columns))
        filled: Iterator[tuple[object, ...]] = zip(*columns.values(), strict=True)
        for number, values in enumerate(filled, start=1):
            table.rows.append(TableRow(number, 0, dict(zip(columns, values, strict=True))))


def _tell_broken(table: RowsFile, index: int, hint: str, report: Report) -> None:
    report.add(table.text.place(*table.text.position(index)), "this is not valid JSON", hint)


class _Item(NamedTuple):
    """A JSON value and its position in the text."""

    begin: int
    end: int
    value: object
    wrong: str = ""
    """Why it can't be used although it is valid JSON."""


def _items(text: str, start: int) -> Iterator[_Item]:
    """Iterate over the items of the array that starts at an index and ends the text.

    Raises:
        json.JSONDecodeError: it is invalid.
    """
    position = _after_blank(text, start + 1)
    is_open = text[position : position + 1] != "]"
    while is_open:
        item = _decoded(text, position)
        yield item
        position = _after_blank(text, item.end)
        is_open = text[position : position + 1] == ","
        if is_open:
            position = _after_blank(text, position + 1)
        elif text[position : position + 1] != "]":
            raise json.JSONDecodeError("Expecting a comma", text, position)
    rest = _after_blank(text, position + 1)
    if rest != len(text):
        raise json.JSONDecodeError("Extra data", text, rest)


def _decoded(text: str, begin: int) -> _Item:
    """The value at an index.

    Raises:
        json.JSONDecodeError: it is invalid.
    """
    try:
        value, end = _DECODER.raw_decode(text, begin)
    except json.JSONDecodeError:
        raise
    except ValueError as error:
        return _Item(begin, _LENIENT.raw_decode(text, begin)[1], None, str(error))
    return _Item(begin, end, value)


def _after_blank(text: str, index: int) -> int:
    found = _BLANK.match(text, index)
    return found.end() if found else index


def _line_object(text: str) -> Row:
    """Parse one line as an object.

    Raises:
        ValueError: it is not an object; the text says why.
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON at column {broken_at(text)}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return _checked(value, text)


def _checked(value: object, text: str) -> Row:
    """Check a value written as `text` and return it as an object.

    Raises:
        ValueError: it can't be used; the text says why.
    """
    if not isinstance(value, dict):
        raise ValueError("it is not an object")
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if "\\u" in text and any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a \\u surrogate pair is missing")
    if "\\u0000" in text and "\0" in _texts(value):
        raise ValueError("it contains a NUL character")
    return value


def _depth(value: object) -> int:
    deepest = 0
    level = [value]
    while level:
        deepest += 1
        inner = [item for item in level if isinstance(item, dict | list)]
        level = [child for item in inner for child in (item.values() if isinstance(item, dict) else item)]
    return deepest


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"duplicate key {name!r}")
    return result


def _texts(value: object) -> str:
    """All text in a value, including keys."""
    if isinstance(value, dict):
        return "".join(key + _texts(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:  # Python has its own limit and message
        raise ValueError(f"the number {text[:20]} is too large")
    return int(text)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole
)
_LENIENT = json.JSONDecoder(parse_int=float)
"""Finds the end of a value that the strict decoder rejects."""
