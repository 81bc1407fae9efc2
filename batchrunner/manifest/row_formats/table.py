"""The content of a rows file of any format, and the options for reading it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from batchrunner.core.problems import Place
from batchrunner.manifest.cells import Nested
from batchrunner.manifest.multiples import TableRow
from batchrunner.manifest.row_list import RowList
from batchrunner.manifest.source import Source
from batchrunner.manifest.templates import Names

MAX_BYTES = 256_000_000
"""The largest size of a rows file, unpacked."""


class Reading(NamedTuple):
    """An entry's options for its rows file; empty if not given."""

    encoding: str = ""
    delimiter: str = ""
    """The character between the cells of a csv."""
    sheet: str = ""
    """The name of the sheet of a workbook."""


@dataclass(slots=True)
class RowsFile:
    """A rows file's content; a table, see `multiples.Table`."""

    text: Source
    written: str
    """Its path as written in the manifest."""
    columns: dict[str, None] = field(default_factory=dict)
    """In file order."""
    rows: RowList = field(default_factory=RowList)
    nested: Nested | None = None
    """The names inside its values; None if all values are plain."""
    needed: str = ""
    """The column that the entry must use."""

    @property
    def one(self) -> str:
        """What to call a row."""
        return "row"

    @property
    def names(self) -> Names:
        """The columns as names for templates."""
        return Names(tuple(self.columns), f"is not a column of {self.text.shown}", "columns", self.nested)

    def has(self, name: str) -> bool:
        """Whether a name is a column, or a path inside one."""
        return name in self.columns or (self.nested is not None and name in self.nested)

    def place(self, row: TableRow) -> Place:
        """The place where a row starts."""
        return self.text.place(row.line, row=row.number)

    def source(self, row: TableRow) -> str:
        """The row's file and number."""
        return f"{self.written}: row {row.number}"

    def behind(self, columns: tuple[str, ...], empty: bool) -> str:
        """The columns, in brackets."""
        names = ", ".join(f"`{name}`" for name in columns)
        return f" (column{'s' if len(columns) > 1 else ''} {names}{' is empty' if empty else ''})"


def look_inside(table: RowsFile) -> None:
    """Allow names inside the rows' values, if any value is an object or a list."""
    if any(isinstance(value, dict | list) for row in table.rows for value in row.cells.values()):
        table.nested = Nested(table.rows)
