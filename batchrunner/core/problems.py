"""Problems in a manifest as values: found by the checks, shown by the command line."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error stops the run before anything is sent; a warning does so only with `--strict`."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Place:
    """The location of a problem. `line` and `column` count from 1; 0 means none.

    `row` is the data row of a rows file, counted from 1 without the header; `snippet` is the text of
    the line, for display.
    """

    file: str
    line: int = 0
    column: int = 0
    row: int = 0
    snippet: str = ""

    def __str__(self) -> str:
        if self.row:
            return f"{self.file}: row {self.row}"
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, its location, and how to fix it."""

    severity: Severity
    place: Place
    message: str
    hint: str = ""
