"""Reads rows files of all formats; csv, tsv and txt are handled here."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path, PurePath
from typing import BinaryIO

from batchrunner.core.problems import Severity
from batchrunner.manifest.headers import column_name, separator_line
from batchrunner.manifest.lines import Line, doubts, lines_of
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats import gzipped
from batchrunner.manifest.row_formats.objects import read_json, read_jsonl
from batchrunner.manifest.row_formats.parquet import read_parquet
from batchrunner.manifest.row_formats.table import MAX_BYTES, RowsFile
from batchrunner.manifest.row_formats.workbook import read_workbook
from batchrunner.manifest.source import FileSource, Source, TextFault, check_utf8, decoded, limited

__all__ = ["RowsFile", "read_rows"]

_NAME_IT = "name it, or delete the column"
_SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}


def read_rows(
    path: Path,
    shown: str,
    written: str,
    report: Report,
    encoding: str = "",
    delimiter: str = "",
    sheet: str = "",
) -> RowsFile | None:
    """The rows of a file; None if they can't be determined.

    Faults are reported and unreadable rows are skipped. An empty `encoding` means UTF-8, an empty
    `delimiter` the one implied by the file extension, an empty `sheet` the first sheet.

    Raises:
        OSError: it can't be read.
    """
    report.begin(shown)
    ending = ending_of(path.name)
    if ending in (".xlsx", ".parquet"):
        return _read_binary(path, ending, RowsFile(Source(shown, ""), written), sheet, report)
    separator = delimiter or _separator(ending)
    try:
        opened = as_utf8(path, encoding)
    except TextFault as fault:
        row = _row_after(fault.before, ending, separator) if fault.line else 0
        place = Source(shown, fault.before).place(fault.line, fault.column, row)
        report.add(place, fault.message, _other_encoding(fault, encoding))
        return None
    if ending == ".json":
        with opened() as file:
            table = RowsFile(Source(shown, decoded(file.read())), written)
        return table if read_json(table, report) else None
    source = FileSource(shown, opened)
    table = RowsFile(source, written)
    with source.lines("" if ending in (".csv", ".tsv") else None) as text:
        if ending == ".jsonl":
            usable = read_jsonl(table, text, report)
        elif ending == ".txt":
            usable = _read_lines(table, text, report)
        else:
            usable = _read_cells(table, text, separator, report)
    return table if usable else None


def as_utf8(path: Path, encoding: str) -> Callable[[], BinaryIO]:
    """Opens a file as text in UTF-8; one in another encoding is kept in memory.

    Raises:
        TextFault: it is not text in this encoding.
        OSError: it can't be read.
    """

    def opened() -> BinaryIO:
        is_packed = path.suffix.lower() == gzipped.ENDING
        return gzipped.unpacked(path, MAX_BYTES) if is_packed else path.open("rb")

    with opened() as file:
        if not encoding:
            check_utf8(file, MAX_BYTES)
            return opened
        data = decoded(limited(file, MAX_BYTES), encoding).encode()
    return lambda: io.BytesIO(data)


def _read_binary(path: Path, ending: str, table: RowsFile, sheet: str, report: Report) -> RowsFile | None:
    try:
        is_book = ending == ".xlsx"
        usable = read_workbook(path, table, sheet, report) if is_book else read_parquet(path, table, report)
    except TextFault as fault:
        report.add(table.text.place(), fault.message, fault.hint)
        return None
    return table if usable else None


def ending_of(name: str) -> str:
    """The extension that determines the format: .csv for `a.CSV.gz`."""
    return PurePath(name.lower().removesuffix(gzipped.ENDING)).suffix


def _separator(ending: str) -> str:
    return "\t" if ending == ".tsv" else ","


def _row_after(text: str, ending: str, separator: str) -> int:
    """The number of the row in which a text is cut off; 0 for the header, or if unknown."""
    if ending == ".json":
        return 0
    lines = io.StringIO(f"{text}x", newline="" if ending in (".csv", ".tsv") else None)
    if ending in (".csv", ".tsv"):
        csv.field_size_limit(MAX_BYTES)
        named, length = separator_line(text)
        lines.seek(length)
        return sum(1 for cells in csv.reader(lines, delimiter=named or separator) if cells) - 1
    found = lines_of(lines) if ending == ".txt" else (line for line in lines if line.strip())
    return sum(1 for _ in found)


def _other_encoding(fault: TextFault, encoding: str) -> str:
    if not fault.looks_like:
        return fault.hint
    if encoding:
        return "set `encoding` to the file's encoding, or save it as UTF-8 and delete `encoding`"
    other = f"set `encoding: {fault.looks_like}` beside `rows`"
    if fault.looks_like in ("gb18030", "cp1252"):
        other += ", or the actual encoding"
    return f"{other}, or save it as UTF-8 (in Excel: CSV UTF-8)"


def _read_cells(table: RowsFile, text: Iterable[str], separator: str, report: Report) -> bool:
    csv.field_size_limit(MAX_BYTES)  # the module's own limit is 128 KB
    lines = iter(text)
    first = next(lines, "")
    named = separator_line(first).separator
    separator, above = named or separator, 1 if named else 0
    reader = csv.reader(lines if named else chain([first], lines), delimiter=separator, strict=True)
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
            if not any(map(str.strip, cells)):  # spreadsheets write deleted rows as bare separators
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
                hint = f"put cells that contain a {kind}, a quote or a line break in double quotes"
                report.add(place, f"the row has {_cells(len(cells))}, but the header has {width}", hint)
    except csv.Error:  # its messages differ between versions
        place = table.text.place(begins, row=number + 1 if table.columns else 0)
        hint = "put the whole cell in double quotes, and double the quotes inside it"
        report.add(place, "unbalanced quotes in this row", hint)
    return bool(table.columns)


def _with_plain_breaks(cell: str) -> str:
    """The text with normalised line breaks: git and editors change them; that doesn't make a new prompt."""
    return cell.replace("\r\n", "\n").replace("\r", "\n") if "\r" in cell else cell


def _cut(cells: list[str], width: int) -> None:
    """Remove empty cells beyond the last column, which spreadsheets write for deleted content."""
    while len(cells) > width and not cells[-1].strip():
        del cells[-1]


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _header(cells: list[str] | None, separator: str, table: RowsFile, report: Report, line: int) -> bool:
    """Read the column names from the first line; return False if they are unusable."""
    place = table.text.place(line)
    names = [column_name(cell) for cell in cells or []]
    if not any(names):
        report.add(place, "the file has no header", "write the column names into its first line")
        return False
    _cut(names, 1)
    others = [other for other in _SEPARATORS if other != separator and other in names[0]]
    if len(names) == 1 and others:
        other = "\\t" if others[0] == "\t" else others[0]
        hint = f'set `delimiter: "{other}"` beside `rows`'
        report.add(place, f"the columns are separated by {_SEPARATORS[others[0]]}", hint)
        return False
    for index, name in enumerate(names, start=1):
        if not name:
            report.add(place, f"column {index} has no name", _NAME_IT)
        elif name in table.columns:
            report.add(place, f"duplicate column name `{name}`", "give each column a unique name")
        table.columns[name] = None
    return len(table.columns) == len(names) and all(names)


def _read_lines(table: RowsFile, text: Iterable[str], report: Report) -> bool:
    """Read each non-empty line as a `prompt`; `line` is its number in the file."""
    table.columns.update(dict.fromkeys(("prompt", "line")))
    table.needed = "prompt"
    for number, (line, prompt) in enumerate(lines_of(text), start=1):
        table.rows.append(TableRow(number, line, {"prompt": prompt, "line": line}))
    for doubt in doubts(Line(row.line, str(row.cells["prompt"])) for row in table.rows):
        report.add(table.text.place(doubt.line), doubt.message, doubt.hint, Severity.WARNING)
    return True
