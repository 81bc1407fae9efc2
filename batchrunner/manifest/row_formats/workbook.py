"""Reads rows of an .xlsx workbook: one sheet, with a header row, each cell as displayed."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from batchrunner.core.text import closest
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats.extras import library
from batchrunner.manifest.row_formats.table import MAX_BYTES, RowsFile
from batchrunner.manifest.source import TextFault

_OLD = b"\xd0\xcf\x11\xe0"
"""The first bytes of an .xls, and of an .xlsx with a password."""
_SAVE_AGAIN = "save it again as .xlsx, or as CSV UTF-8"
_UNSUSPICIOUS = 32_000_000
_MOST_RATIO = 200
_MERGED = re.compile(rb'<mergeCell ref="([A-Z0-9:]{1,20})"')
_CHUNK = 1 << 20
_NAMED = 3
_PLAIN_FORMAT = re.compile(r"(0+)(?:\.(0+))?")
"""A number format of zeros alone: 000 shows 7 as 007, and 0.00 shows 1.5 as 1.50."""


def read_workbook(path: Path, table: RowsFile, sheet: str, report: Report) -> bool:
    """Read the rows of a sheet, by default the first visible one; return False if there is no header.

    Raises:
        TextFault: it is not a readable workbook.
        OSError: it can't be read.
    """
    openpyxl = library("openpyxl", ".xlsx")
    _look_over(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile, SyntaxError) as error:
        raise TextFault("the file is damaged, or is not an .xlsx workbook", _SAVE_AGAIN) from error
    try:
        chosen = _chosen(book, sheet)
        merged, has_formulas = _peculiarities(path, chosen)
        if merged:
            rest = f" and {len(merged) - _NAMED} more" if len(merged) > _NAMED else ""
            message = f"cells are merged: {', '.join(merged[:_NAMED])}{rest}"
            report.add(table.text.place(), message, "unmerge them and fill in each cell")
            return False
        reader = _SheetReader(table, report, has_formulas)
        for number, cells in _numbered(chosen):
            reader.take(number, cells)
        if not table.columns:
            hint = "write the column names into its first row"
            report.add(table.text.place(), "the sheet has no header", hint)
        if reader.blanks:
            _find_unsaved(openpyxl, path, chosen.title, reader)
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile, SyntaxError) as error:
        raise TextFault("the file is damaged, or is not an .xlsx workbook", _SAVE_AGAIN) from error
    finally:
        book.close()
    return reader.is_sound


def _look_over(path: Path) -> None:
    """Refuse a file that would be expensive to open."""
    with path.open("rb") as file:
        if file.read(len(_OLD)) == _OLD:
            message = "the file is an old .xls or is password-protected"
            raise TextFault(message, "save it as .xlsx without a password")
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError) as error:
        raise TextFault("the file is damaged, or is not an .xlsx workbook", _SAVE_AGAIN) from error
    size = sum(part.file_size for part in parts)
    if size > 2 * MAX_BYTES:
        message = f"the file unpacks to more than {2 * MAX_BYTES // 1_000_000} MB"
        raise TextFault(message, "split it into several")
    for part in parts:
        if part.file_size > max(_UNSUSPICIOUS, _MOST_RATIO * part.compress_size):
            message = f"{part.filename} in it unpacks to more than {_MOST_RATIO} times its size"
            raise TextFault(message, "save it as CSV UTF-8 and check its content")


def _chosen(book: Any, sheet: str) -> Any:
    sheets = {one.title: one for one in book.worksheets}
    if sheet in sheets:
        return sheets[sheet]
    if sheet:
        near = closest(sheet, tuple(sheets))
        names = f"sheets: {', '.join(sheets)}"
        raise TextFault(f"no such sheet: {sheet!r}", f"did you mean {near!r}? {names}" if near else names)
    for one in sheets.values():
        if one.sheet_state == "visible":
            return one
    raise TextFault("the workbook has no visible sheet", "set `sheet:` beside `rows`")


def _peculiarities(path: Path, sheet: Any) -> tuple[list[str], bool]:
    """A sheet's merged cells, and whether it has formulas: openpyxl doesn't report them row by row."""
    merged: dict[str, None] = {}
    has_formulas = False
    tail = b""
    with zipfile.ZipFile(path) as archive, archive.open(sheet._worksheet_path) as part:
        while chunk := part.read(_CHUNK):
            text = tail + chunk
            merged.update(dict.fromkeys(found.decode() for found in _MERGED.findall(text)))
            has_formulas = has_formulas or b"<f>" in text or b"<f " in text
            tail = text[-100:]
    return list(merged), has_formulas


def _numbered(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    sheet.reset_dimensions()  # the size stated in the file may be wrong
    return enumerate(sheet.iter_rows(), start=1)


class _SheetReader:
    """Reads rows of cells one by one; the first row that is not empty is the header."""

    def __init__(self, table: RowsFile, report: Report, has_formulas: bool) -> None:
        self._table = table
        self._report = report
        self._has_formulas = has_formulas
        self.is_sound = False
        """Whether there is a usable header."""
        self.blanks: set[tuple[int, int]] = set()
        """Empty cells below the header that may be formulas, by row and column."""

    def take(self, number: int, cells: tuple[Any, ...]) -> None:
        """Read one row of the sheet."""
        values = [_shown(cell) for cell in cells]
        while values and not values[-1].strip():
            values.pop()
        if not self._table.columns:
            if values:
                self._take_header(number, values)
            return
        if not self.is_sound:
            return
        width = len(self._table.columns)
        place = self._table.text.place(row=number)
        for cell in cells:
            if getattr(cell, "data_type", "") == "e":
                message = f"{cell.coordinate} contains the error {cell.value}"
                self._report.add(place, message, "fix its formula")
        if len(values) > width:
            message = f"the row has {len(values)} cells, but the header has {width}"
            self._report.add(place, message, "name each column in the first row, or delete the extra cells")
            return
        values += [""] * (width - len(values))
        if self._has_formulas:
            self.blanks.update((number, index) for index, value in enumerate(values) if not value)
        if any(value.strip() for value in values):
            row = TableRow(number, 0, dict(zip(self._table.columns, values, strict=True)))
            self._table.rows.append(row)

    def _take_header(self, number: int, values: list[str]) -> None:
        place = self._table.text.place(row=number)
        names = [value.strip() for value in values]
        for index, name in enumerate(names, start=1):
            if not name:
                self._report.add(place, f"column {index} has no name", "name it, or delete the column")
            elif name in self._table.columns:
                hint = "give each column a unique name"
                self._report.add(place, f"duplicate column name {name!r}", hint)
            self._table.columns[name] = None
        self.is_sound = all(names) and len(self._table.columns) == len(names)

    def unsaved(self, number: int, coordinate: str) -> None:
        """Report a formula without a cached result."""
        message = f"{coordinate} is a formula whose result is not in the file"
        hint = "open and save the file in Excel or LibreOffice, or replace the formula by its value"
        self._report.add(self._table.text.place(row=number), message, hint)


def _find_unsaved(openpyxl: Any, path: Path, title: str, reader: _SheetReader) -> None:
    """Report formulas that were never calculated, as written by programs: such a cell looks empty."""
    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    try:
        for number, cells in _numbered(book[title]):
            for index, cell in enumerate(cells):
                if getattr(cell, "data_type", "") == "f" and (number, index) in reader.blanks:
                    reader.unsaved(number, cell.coordinate)
    finally:
        book.close()


def _shown(cell: Any) -> str:
    """A cell as displayed text: 5 and not 5.0, TRUE, 2026-11-28."""
    match cell.value:
        case None:
            return ""
        case str() as text:
            return text.replace("\r\n", "\n").replace("\r", "\n")
        case bool() as flag:
            return str(flag).upper()
        case int() | float() as number:
            return _number(number, str(cell.number_format))
        case datetime() as moment:
            return moment.date().isoformat() if moment.time() == time() else moment.isoformat(" ", "seconds")
        case date() as day:
            return day.isoformat()
        case time() as hour:
            return hour.isoformat("seconds")
        case timedelta() as length:
            return str(length)
        case other:
            return str(other)


def _number(number: float, number_format: str) -> str:
    if plain := _PLAIN_FORMAT.fullmatch(number_format):
        whole, decimals = len(plain.group(1)), len(plain.group(2) or "")
        if decimals or (whole > 1 and number == int(number)):
            return f"{number:0{whole + decimals + (1 if decimals else 0)}.{decimals}f}"
    short = float(f"{number:.15g}")  # the precision of a spreadsheet
    return str(int(short)) if short.is_integer() else repr(short)
