"""Reads rows of a .parquet file, one row group at a time; nested columns stay nested."""

from __future__ import annotations

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from batchrunner.core.problems import Severity
from batchrunner.core.text import is_text
from batchrunner.manifest.multiples import MAX_TASKS, TableRow
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats.extras import library
from batchrunner.manifest.row_formats.table import MAX_BYTES, RowsFile, look_inside
from batchrunner.manifest.source import TextFault

_BATCH = 1000
"""How many rows are decoded at once."""
_AGAIN = "copy or create it again"


def read_parquet(path: Path, table: RowsFile, report: Report) -> bool:
    """Read the rows; columns of bytes are skipped with a warning. Return False if no column is left.

    Raises:
        TextFault: it is not a readable parquet file.
        OSError: it can't be read.
    """
    pyarrow, parquet = library("pyarrow", ".parquet"), library("pyarrow.parquet", ".parquet")
    try:
        with parquet.ParquetFile(path) as file:
            if file.metadata.num_rows > MAX_TASKS:
                message = f"the file has {file.metadata.num_rows:,} rows; the limit is {MAX_TASKS:,}"
                raise TextFault(message, "split it into several")
            columns = _columns(pyarrow.types, file.schema_arrow, table, report)
            size = 0
            for batch in file.iter_batches(_BATCH, columns=columns):
                size += batch.nbytes
                if size > MAX_BYTES:
                    message = f"the rows are larger than {MAX_BYTES // 1_000_000} MB"
                    raise TextFault(message, "split it into several")
                _take(batch.to_pylist(), table, report)
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # an OS error; the library's own errors have no errno
            raise
        raise TextFault("the file is damaged, or is not parquet", _AGAIN) from error
    look_inside(table)
    return bool(table.columns)


def _columns(types: Any, schema: Any, table: RowsFile, report: Report) -> list[str]:
    """The columns to read."""
    for field in schema:
        if _has_bytes(types, field.type):
            message = f"the column {field.name!r} contains bytes and is skipped"
            hint = "save pictures as files and put their paths into a column"
            report.add(table.text.place(), message, hint, Severity.WARNING)
        elif field.name in table.columns:
            report.add(
                table.text.place(), f"duplicate column name {field.name!r}", "give each column a unique name"
            )
        else:
            table.columns[field.name] = None
    if not table.columns:
        report.add(table.text.place(), "the file has no usable column", "add one with the prompts")
    return list(table.columns)


def _has_bytes(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        return _has_bytes(types, kind.value_type)
    if any(_has_bytes(types, kind.field(index).type) for index in range(kind.num_fields)):
        return True
    is_bytes = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    return any(check(kind) for check in is_bytes)


def _take(rows: list[dict[str, Any]], table: RowsFile, report: Report) -> None:
    for row in rows:
        number = len(table.rows) + 1
        try:
            cells = {name: _plain(value) for name, value in row.items()}
        except ValueError as error:
            report.add(table.text.place(row=number), f"invalid row: {error}", "correct the value")
            cells = {}
        table.rows.append(TableRow(number, 0, cells))


def _plain(value: object) -> object:
    """Convert a value to JSON types: dates become text, integral floats integers, NaN null.

    Raises:
        ValueError: it can't be converted.
    """
    match value:
        case None | bool() | int():
            return value
        case str():
            if "\0" in value or not is_text(value):
                raise ValueError("it contains a NUL character")
            return value
        case float():
            if math.isnan(value):
                return None
            if math.isinf(value):
                raise ValueError("it contains an infinite number")
            return int(value) if value.is_integer() else value
        case datetime():
            midnight = value.time() == time() and value.tzinfo is None
            return value.date().isoformat() if midnight else value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case Decimal() | timedelta():
            return str(value)
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():  # a tuple is a map entry
            return [_plain(item) for item in value]
        case other:
            raise ValueError(f"it contains a value of type {type(other).__name__}")
