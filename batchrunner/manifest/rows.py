"""Rows files: csv and jsonl, read whole, row by row."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from batchrunner.manifest.reporting import Report
from batchrunner.manifest.source import Source, TextFault, read_text
from batchrunner.manifest.templates import Row

MAX_BYTES = 256_000_000
_MAX_DEPTH = 32


class TableRow(NamedTuple):
    """One row and where it stands."""

    number: int
    """From 1, the header not counted."""
    line: int
    """The line in which it begins."""
    cells: Row


@dataclass(slots=True)
class Table:
    """A rows file's content."""

    source: Source
    written: str
    """Its path as the manifest gives it."""
    columns: dict[str, None] = field(default_factory=dict)
    """In the order of the file."""
    rows: list[TableRow] = field(default_factory=list)


def read_rows(path: Path, shown: str, written: str, report: Report) -> Table | None:
    """The rows of a csv or jsonl file; None where it is no such file.

    What is wrong with the file is reported, and rows that can't be read are left out.

    Raises:
        OSError: it can't be read.
    """
    report.begin(shown)
    try:
        text = read_text(path, MAX_BYTES)
    except TextFault as fault:
        report.add(Source(shown, "").place(fault.line, fault.column), fault.message, fault.hint)
        return None
    table = Table(Source(shown, text), written)
    usable = _read_csv(table, report) if path.suffix.lower() == ".csv" else _read_jsonl(table, report)
    return table if usable else None


def _read_csv(table: Table, report: Report) -> bool:
    csv.field_size_limit(MAX_BYTES)  # the module's own limit is 128 KB
    reader = csv.reader(io.StringIO(table.source.text, newline=""), strict=True)
    begins = 1
    number = 0
    try:
        header = next(reader, None)
        if not _header(header, table, report):
            return False
        width = len(table.columns)
        begins = reader.line_num + 1
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not cells:  # a blank line
                continue
            number += 1
            if len(cells) == width:
                table.rows.append(TableRow(number, line, dict(zip(table.columns, cells, strict=True))))
            else:
                place = table.source.place(line, row=number)
                hint = "put a cell that holds a comma, a quote or a line break in double quotes"
                report.add(place, f"the row has {_cells(len(cells))}, and the header {width}", hint)
    except csv.Error as error:
        place = table.source.place(begins, row=number + 1 if table.columns else 0)
        hint = 'put the whole cell in double quotes, and write "" for a quote within it'
        report.add(place, f"the quotes in this row don't match ({error})", hint)
    return bool(table.columns)


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _header(cells: list[str] | None, table: Table, report: Report) -> bool:
    """Take the columns from the first line; False where they can't be used."""
    place = table.source.place(1)
    names = [cell.strip() for cell in cells or []]
    if not any(names):
        report.add(place, "the file has no header", "write the names of the columns into its first line")
        return False
    if len(names) == 1 and (found := next((c for c in ";\t" if c in names[0]), "")):
        kind = "tabs" if found == "\t" else "semicolons"
        report.add(
            place, f"the columns are separated by {kind}", "save the file with commas between the columns"
        )
        return False
    for index, name in enumerate(names, start=1):
        if not name:
            report.add(place, f"column {index} has no name", "name it, or delete the comma that makes it")
        elif name in table.columns:
            report.add(place, f"two columns are named {name!r}", "give each column a name of its own")
        table.columns[name] = None
    return len(table.columns) == len(names) and all(names)


def _read_jsonl(table: Table, report: Report) -> bool:
    number = 0
    for line, text in enumerate(io.StringIO(table.source.text, newline=None), start=1):
        if not text.strip():
            continue
        number += 1
        try:
            row = _object(text.rstrip())
        except ValueError as error:
            place = table.source.place(line, row=number)
            hint = 'write one object a line: {"id": "cat", "prompt": "…"}'
            report.add(place, f"the line is no JSON object: {error}", hint)
            continue
        table.rows.append(TableRow(number, line, row))
        table.columns.update(dict.fromkeys(row))
    return bool(table.rows)  # without a row nobody can say which columns there are


def _object(text: str) -> Row:
    """One line's object.

    Raises:
        ValueError: it is none; the text says why.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it holds something else")
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if "\\u" in text and any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a \\u pair is missing")
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
        raise ValueError(f"the key {name!r} is written twice")
    return result


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
