"""Rows of an .xlsx workbook: one sheet, its first row the header, each cell as a person sees it."""

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
"""How an .xls begins, and an .xlsx with a password."""
_SAVE_AGAIN = "save it again as .xlsx, or as CSV UTF-8"
_UNSUSPICIOUS = 32_000_000
_MOST_RATIO = 200
_MERGED = re.compile(rb'<mergeCell ref="([A-Z0-9:]{1,20})"')
_CHUNK = 1 << 20
_NAMED = 3
_PLAIN_FORMAT = re.compile(r"(0+)(?:\.(0+))?")
"""A number format of zeros alone: 000 shows 7 as 007, and 0.00 shows 1.5 as 1.50."""


def read_workbook(path: Path, table: RowsFile, sheet: str, report: Report) -> bool:
    """Take the rows of a sheet, the first one that is shown if none is named; False where there is no header.

    Raises:
        TextFault: it is no workbook that can be read.
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
            report.add(table.text.place(), message, "unmerge them, and fill each cell in")
            return False
        reader = _SheetReader(table, report, has_formulas)
        for number, cells in _numbered(chosen):
            reader.take(number, cells)
        if not table.columns:
            hint = "write the names of the columns into its first row"
            report.add(table.text.place(), "the sheet has no header", hint)
        if reader.blanks:
            _find_unsaved(openpyxl, path, chosen.title, reader)
    except (KeyError, ValueError, TypeError, zipfile.BadZipFile, SyntaxError) as error:
        raise TextFault("the file is damaged, or is not an .xlsx workbook", _SAVE_AGAIN) from error
    finally:
        book.close()
    return reader.is_sound


def _look_over(path: Path) -> None:
    """Refuse what would cost much to open."""
    with path.open("rb") as file:
        if file.read(len(_OLD)) == _OLD:
            message = "the file is an old .xls, or has a password"
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
            raise TextFault(message, "save it as CSV UTF-8, and look at what it holds")


def _chosen(book: Any, sheet: str) -> Any:
    sheets = {one.title: one for one in book.worksheets}
    if sheet in sheets:
        return sheets[sheet]
    if sheet:
        near = closest(sheet, tuple(sheets))
        names = f"its sheets: {', '.join(sheets)}"
        raise TextFault(f"no sheet is called {sheet!r}", f"did you mean {near!r}? {names}" if near else names)
    for one in sheets.values():
        if one.sheet_state == "visible":
            return one
    raise TextFault("the workbook shows no sheet", "name one with `sheet:` beside `rows`")


def _peculiarities(path: Path, sheet: Any) -> tuple[list[str], bool]:
    """The merged cells of a sheet, and whether there are formulas: openpyxl does not say so row by row."""
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
    sheet.reset_dimensions()  # what a file says of its own size may be far off
    return enumerate(sheet.iter_rows(), start=1)


class _SheetReader:
    """Takes rows of cells one after the other; the first with something in it is the header."""

    def __init__(self, table: RowsFile, report: Report, has_formulas: bool) -> None:
        self._table = table
        self._report = report
        self._has_formulas = has_formulas
        self.is_sound = False
        """Whether there is a header that can be used."""
        self.blanks: set[tuple[int, int]] = set()
        """Empty cells below the header, by row and column, where they may be formulas."""

    def take(self, number: int, cells: tuple[Any, ...]) -> None:
        """Take one row of the sheet."""
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
                message = f"{cell.coordinate} holds the error {cell.value}"
                self._report.add(place, message, "correct its formula")
        if len(values) > width:
            message = f"the row has {len(values)} cells, and the header {width}"
            self._report.add(place, message, "name each column in the first row, or delete what lies beyond")
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
                hint = "give each column a name of its own"
                self._report.add(place, f"two columns are named {name!r}", hint)
            self._table.columns[name] = None
        self.is_sound = all(names) and len(self._table.columns) == len(names)

    def unsaved(self, number: int, coordinate: str) -> None:
        """Report a formula whose result is not in the file."""
        message = f"{coordinate} is a formula, and its result is not in the file"
        hint = "open the file in Excel or LibreOffice and save it, or write the value"
        self._report.add(self._table.text.place(row=number), message, hint)


def _find_unsaved(openpyxl: Any, path: Path, title: str, reader: _SheetReader) -> None:
    """Programs that write formulas do not calculate them: such a cell looks as if it were empty."""
    book = openpyxl.load_workbook(path, read_only=True, data_only=False)
    try:
        for number, cells in _numbered(book[title]):
            for index, cell in enumerate(cells):
                if getattr(cell, "data_type", "") == "f" and (number, index) in reader.blanks:
                    reader.unsaved(number, cell.coordinate)
    finally:
        book.close()


def _shown(cell: Any) -> str:
    """A cell as text, as a person sees it: 5 and not 5.0, TRUE, 2026-11-28."""
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
    short = float(f"{number:.15g}")  # the digits that a spreadsheet has
    return str(int(short)) if short.is_integer() else repr(short)
