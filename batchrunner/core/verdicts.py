"""Reads verdicts.csv: which videos of a run a person keeps or rejects. A verdict is about one version."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from batchrunner.core.errors import ManifestError
from batchrunner.core.model import TaskKey
from batchrunner.core.problems import Place, Problem, Severity
from batchrunner.core.redaction import redacted
from batchrunner.core.text import allow_long_cells, shortened

COLUMNS = ("run", "fingerprint", "id", "file_name", "verdict", "note")
REQUIRED = ("run", "fingerprint", "file_name", "verdict")
_NEEDED = ("run", "fingerprint", "file_name")
"""What every row must have: together they name one version of one video."""
_DELIMITERS = ",;\t"
"""Spreadsheets write a semicolon where the comma is the decimal point, and a tab as `Text`."""
_SAVE_AGAIN = "save the verdicts again from the report"


class Verdict(StrEnum):
    """What a person thinks of a video."""

    KEEP = "keep"
    REJECT = "reject"
    UNDECIDED = ""
    """There is only a note."""


@dataclass(frozen=True, slots=True)
class VideoVerdict:
    """One row: a verdict about one version of one video."""

    run: str
    """The run directory's own ID."""
    fingerprint: TaskKey
    id: str
    """The task's ID when the verdict was given; only for display, as it may have been renamed."""
    file_name: str
    """The path of this version, relative to the run directory."""
    verdict: Verdict
    note: str
    """The person's own words, unchanged."""
    line: int
    """Where the row begins in the file; counts from 1."""


def parsed(data: bytes, file: str) -> tuple[VideoVerdict, ...]:
    """The rows of a verdicts.csv in file order; `file` is its path for messages.

    UTF-8 with or without a byte order mark, RFC 4180, separated by commas, semicolons or tabs. Columns may
    have any order, others are ignored. A row may be there twice, but not with different verdicts.

    Raises:
        ManifestError: the file can't be used; it names every problem with its line.
    """
    reader = _Reader(file)
    rows = tuple(reader.rows(data))
    if reader.problems:
        raise refusal(reader.problems)
    return rows


def problem(file: str, line: int, message: str, hint: str = _SAVE_AGAIN) -> Problem:
    """A problem in a line of a verdicts file."""
    return Problem(Severity.ERROR, Place(file, line), message, hint)


def refusal(problems: Iterable[Problem]) -> ManifestError:
    """The error of a verdicts file that can't be used."""
    return ManifestError(tuple(problems), "verdicts file", "nothing was changed")


class _Reader:
    """Reads one file, and collects its problems."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []
        self._decided: dict[tuple[str, ...], VideoVerdict] = {}

    def rows(self, data: bytes) -> Iterator[VideoVerdict]:
        """The rows without problems."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self._refuse(line, "the file is not UTF-8", "save it as `CSV UTF-8` in the spreadsheet")
            return
        table = max((_Table(text, delimiter) for delimiter in _DELIMITERS), key=lambda one: len(one.columns))
        if not table.fault and not self._has_columns(table):
            return
        for line, cells in table.records():
            if any(cells) and (row := self._row(line, cells, table)):
                yield row
        if table.fault:
            hint = f"correct the quotation marks from here on, or {_SAVE_AGAIN}"
            self._refuse(table.line, f"the table is broken: {table.fault}", hint)

    def _has_columns(self, table: _Table) -> bool:
        missing = [name for name in REQUIRED if name not in table.columns]
        if missing:
            names = ", ".join(f"`{name}`" for name in missing)
            hint = f"the first line must name the columns {', '.join(REQUIRED)}; {_SAVE_AGAIN}"
            self._refuse(1, f"missing column{'s' if len(missing) > 1 else ''}: {names}", hint)
        for name in table.twice:
            self._refuse(1, f"the column `{name}` is there twice", "delete one of them")
        return not self.problems

    def _row(self, line: int, cells: Sequence[str], table: _Table) -> VideoVerdict | None:
        """The verdict in one row; None if there is a problem with it."""
        if any(cells[table.width :]):
            hint = "put quotation marks around a cell that contains the separator"
            self._refuse(line, "the row has more cells than the first line has names", hint)
            return None
        # Some spreadsheets leave out empty cells at the end of a row.
        there = {name: cells[index] for name, index in table.columns.items() if index < len(cells)}
        found = dict.fromkeys(COLUMNS, "") | there
        if empty := [name for name in _NEEDED if not found[name]]:
            hint = f"{_SAVE_AGAIN}, or delete the row"
            self._refuse(line, f"`{empty[0]}` is empty: it isn't clear which video is meant", hint)
            return None
        word = found["verdict"].strip().lower()
        if word not in set(Verdict):
            hint = "write keep or reject, or leave the cell empty"
            self._refuse(line, f'"{shortened(redacted(found["verdict"]), 40)}" is not a verdict', hint)
            return None
        row = VideoVerdict(
            run=found["run"].strip(),
            fingerprint=TaskKey(found["fingerprint"].strip()),
            id=found["id"],
            file_name=found["file_name"].strip(),
            verdict=Verdict(word),
            note=found["note"],
            line=line,
        )
        return row if self._is_consistent(row) else None

    def _is_consistent(self, row: VideoVerdict) -> bool:
        """Whether no earlier row has another verdict about the same version."""
        if row.verdict is Verdict.UNDECIDED:
            return True
        first = self._decided.setdefault((row.run, row.fingerprint, row.file_name), row)
        if first.verdict is row.verdict:
            return True
        name = shortened(row.file_name, 60)
        message = f"{name} is `{row.verdict}` here, but `{first.verdict}` in line {first.line}"
        self._refuse(row.line, message, "delete one of the two rows")
        return False

    def _refuse(self, line: int, message: str, hint: str) -> None:
        self.problems.append(problem(self._file, line, message, hint))


class _Table:
    """The records of a text, read with one delimiter."""

    def __init__(self, text: str, delimiter: str) -> None:
        allow_long_cells()
        # Strict: a quotation mark that was deleted must not merge rows or shift cells.
        self._records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        self.line = 1
        """Where the newest record begins; counts from 1."""
        self.fault = ""
        """Why the text can't be read any further; empty if it can."""
        names = [name.strip().lower() for name in next(self._cells(), [])]
        self.width = len(names)
        self.columns = {name: index for index, name in enumerate(names) if name in COLUMNS}
        """Where each of our columns is."""
        self.twice = [name for name in COLUMNS if names.count(name) > 1]

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """The records after the first one, each with its line."""
        for cells in self._cells():
            yield self.line, cells

    def _cells(self) -> Iterator[list[str]]:
        while True:
            self.line = self._records.line_num + 1
            try:
                cells = next(self._records, None)
            except csv.Error as error:
                self.fault = str(error)
                return
            if cells is None:
                return
            yield [cell if cell.strip() else "" for cell in cells]
