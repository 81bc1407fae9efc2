"""Rows files: csv, tsv, jsonl and txt, read whole, row by row."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.core.problems import Place, Severity
from batchrunner.manifest.headers import column_name, separator_line
from batchrunner.manifest.json_reader import broken_at
from batchrunner.manifest.lines import doubts, lines_of
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.source import Source, TextFault, read_text
from batchrunner.manifest.templates import Names, Row

MAX_BYTES = 256_000_000
_MAX_DEPTH = 32
_MOST_DIGITS = 300
_NAME_IT = "name it, or delete the column"
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}


@dataclass(slots=True)
class RowsFile:
    """A rows file's content; a table, see `multiples.Table`."""

    text: Source
    written: str
    """Its path as the manifest gives it."""
    columns: dict[str, None] = field(default_factory=dict)
    """In the order of the file."""
    rows: list[TableRow] = field(default_factory=list)
    needed: str = ""
    """The column without which the entry has no sense."""

    @property
    def one(self) -> str:
        """What one of them is called."""
        return "row"

    @property
    def names(self) -> Names:
        """The columns as names for templates."""
        return Names(tuple(self.columns), f"names no column of {self.text.shown}", "columns")

    def place(self, row: TableRow) -> Place:
        """Where a row begins."""
        return self.text.place(row.line, row=row.number)

    def source(self, row: TableRow) -> str:
        """The row's file and number."""
        return f"{self.written}: row {row.number}"

    def behind(self, columns: tuple[str, ...], empty: bool) -> str:
        """The columns, in brackets."""
        names = ", ".join(f"`{name}`" for name in columns)
        return f" (column{'s' if len(columns) > 1 else ''} {names}{' is empty' if empty else ''})"


def read_rows(path: Path, shown: str, written: str, report: Report, encoding: str = "") -> RowsFile | None:
    """The rows of a file; None where nobody can tell them.

    What is wrong with the file is reported, and rows that can't be read are left out. An empty `encoding`
    is UTF-8.

    Raises:
        OSError: it can't be read.
    """
    report.begin(shown)
    ending = path.suffix.lower()
    try:
        text = read_text(path, MAX_BYTES, encoding)
    except TextFault as fault:
        row = _row_after(fault.before, ending) if fault.line else 0
        place = Source(shown, fault.before).place(fault.line, fault.column, row)
        report.add(place, fault.message, _other_encoding(fault, encoding))
        return None
    table = RowsFile(Source(shown, text), written)
    if ending == ".jsonl":
        usable = _read_jsonl(table, report)
    elif ending == ".txt":
        usable = _read_lines(table, report)
    else:
        usable = _read_cells(table, _separator(ending), report)
    return table if usable else None


def _separator(ending: str) -> str:
    return "\t" if ending == ".tsv" else ","


def _row_after(text: str, ending: str) -> int:
    """The number of the row in which a text breaks off; 0 for the header."""
    lines = io.StringIO(f"{text}x", newline="" if ending in (".csv", ".tsv") else None)
    if ending in (".csv", ".tsv"):
        csv.field_size_limit(MAX_BYTES)
        named, length = separator_line(text)
        lines.seek(length)
        return sum(1 for cells in csv.reader(lines, delimiter=named or _separator(ending)) if cells) - 1
    found = lines_of(f"{text}x") if ending == ".txt" else (line for line in lines if line.strip())
    return sum(1 for _ in found)


def _other_encoding(fault: TextFault, encoding: str) -> str:
    if not fault.looks_like:
        return fault.hint
    if encoding:
        return "write the `encoding` that it really has, or save it as UTF-8 and delete `encoding`"
    other = f"write `encoding: {fault.looks_like}` beside `rows`"
    if fault.looks_like in ("gb18030", "cp1252"):
        other += ", or whichever it is"
    return f"{other}, or save it as UTF-8 (in Excel: CSV UTF-8)"


def _read_cells(table: RowsFile, separator: str, report: Report) -> bool:
    csv.field_size_limit(MAX_BYTES)  # the module's own limit is 128 KB
    named, length = separator_line(table.text.text)
    separator, above = named or separator, 1 if named else 0
    lines = io.StringIO(table.text.text, newline="")
    lines.seek(length)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    begins = 1 + above
    number = 0
    try:
        header = next(reader, None)
        if not _header(header, separator, table, report, begins):
            return False
        headed = len(header or ())
        width = len(table.columns)
        begins = reader.line_num + 1 + above
        for cells in reader:
            line, begins = begins, reader.line_num + 1 + above
            if not cells:  # a blank line
                continue
            number += 1
            if not any(map(str.strip, cells)):  # spreadsheets write what was once a row as separators
                continue
            if len(cells) > width:
                _cut(cells, width)
            if len(cells) == width:
                plain = map(_with_plain_breaks, cells)
                table.rows.append(TableRow(number, line, dict(zip(table.columns, plain, strict=True))))
            elif width < len(cells) <= headed:
                report.add(table.text.place(1 + above), f"column {len(cells)} has no name", _NAME_IT)
            else:
                place = table.text.place(line, row=number)
                kind = {",": "comma", "\t": "tab", ";": "semicolon"}.get(separator, f"`{separator}`")
                hint = f"put a cell that holds a {kind}, a quote or a line break in double quotes"
                report.add(place, f"the row has {_cells(len(cells))}, and the header {width}", hint)
    except csv.Error:  # its words differ between versions
        place = table.text.place(begins, row=number + 1 if table.columns else 0)
        hint = 'put the whole cell in double quotes, and write "" for a quote within it'
        report.add(place, "the quotes in this row don't match", hint)
    return bool(table.columns)


def _with_plain_breaks(cell: str) -> str:
    """The text with one kind of line break: git and editors change them, and it is the same prompt."""
    return cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell


def _cut(cells: list[str], width: int) -> None:
    """Take away empty cells beyond the last column: spreadsheets write them where something once stood."""
    while len(cells) > width and not cells[-1].strip():
        del cells[-1]


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _header(cells: list[str] | None, separator: str, table: RowsFile, report: Report, line: int) -> bool:
    """Take the columns from the first line; False where they can't be used."""
    place = table.text.place(line)
    names = [column_name(cell) for cell in cells or []]
    if not any(names):
        report.add(place, "the file has no header", "write the names of the columns into its first line")
        return False
    _cut(names, 1)
    others = [other for other in _SEPARATORS if other != separator and other in names[0]]
    if len(names) == 1 and others:
        hint = f"save the file with {_SEPARATORS.get(separator, separator)} between the columns"
        report.add(place, f"the columns are separated by {_SEPARATORS[others[0]]}", hint)
        return False
    for index, name in enumerate(names, start=1):
        if not name:
            report.add(place, f"column {index} has no name", _NAME_IT)
        elif name in table.columns:
            report.add(place, f"two columns are named `{name}`", "give each column a name of its own")
        table.columns[name] = None
    return len(table.columns) == len(names) and all(names)


def _read_lines(table: RowsFile, report: Report) -> bool:
    """Each line with something in it is a `prompt`; `line` is its number in the file."""
    table.columns.update(dict.fromkeys(("prompt", "line")))
    table.needed = "prompt"
    found = list(lines_of(table.text.text))
    for number, (line, prompt) in enumerate(found, start=1):
        table.rows.append(TableRow(number, line, {"prompt": prompt, "line": line}))
    for doubt in doubts(found):
        report.add(table.text.place(doubt.line), doubt.message, doubt.hint, Severity.WARNING)
    return True


def _read_jsonl(table: RowsFile, report: Report) -> bool:
    number = 0
    for line, text in enumerate(io.StringIO(table.text.text, newline=None), start=1):
        if not text.strip():
            continue
        number += 1
        try:
            row = _object(text.rstrip())
        except ValueError as error:
            place = table.text.place(line, row=number)
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
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"it can't be read on from column {broken_at(text)}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("it holds something else")
    if text.count("[") + text.count("{") > _MAX_DEPTH and _depth(value) > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    if "\\u" in text and any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a \\u pair is missing")
    if "\\u0000" in text and "\0" in _texts(value):
        raise ValueError("it holds a NUL character")
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


def _texts(value: object) -> str:
    """All text in a value, its keys included."""
    if isinstance(value, dict):
        return "".join(key + _texts(item) for key, item in value.items())
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return value if isinstance(value, str) else ""


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS:  # Python has a limit of its own, and other words for it
        raise ValueError(f"{text[:20]} is too large a number")
    return int(text)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")
