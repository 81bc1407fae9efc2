"""Rows from workbooks and parquet files, written by the libraries that people write them with."""

import datetime
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchrunner.manifest.reporting import Report
from batchrunner.manifest.row_formats import extras
from batchrunner.manifest.rows import RowsFile, read_rows


def read(path: Path, sheet: str = "") -> tuple[RowsFile | None, list[str]]:
    """The table in a file, and what is wrong with it."""
    report = Report()
    table = read_rows(path, path.name, path.name, report, sheet=sheet)
    return table, [f"{problem.place}: {problem.message}" for problem in report.problems()]


def workbook(path: Path, *rows: list[Any], change: Callable[[Any], None] = lambda _: None) -> Path:
    """A workbook of one sheet."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    change(book.active)
    book.save(path)
    return path


def cells(table: RowsFile | None) -> list[tuple[int, dict[str, object]]]:
    """The rows with their numbers."""
    assert table is not None
    return [(row.number, dict(row.cells)) for row in table.rows]


def test_cells_of_a_workbook_are_as_a_person_sees_them(tmp_path: Path) -> None:
    """Whole numbers without a fraction, dates without midnight, leading zeros where the format shows them."""

    def formats(sheet: Any) -> None:
        sheet["A2"].number_format = "000"
        sheet["B2"].number_format = "0.00"

    day = datetime.datetime(2026, 11, 28)
    rows = [
        [7, 1.5, 5.0, 0.1 + 0.2],
        [True, day, day.replace(hour=9), "x\r\ny"],
        [datetime.time(9, 30), 1e6, -3, ""],
    ]
    path = workbook(tmp_path / "a.xlsx", ["a", "b", "c", "d"], *rows, change=formats)
    table, wrong = read(path)
    assert wrong == []
    assert [list(values.values()) for _, values in cells(table)] == [
        ["007", "1.50", "5", "0.3"],
        ["TRUE", "2026-11-28", "2026-11-28 09:00:00", "x\ny"],
        ["09:30:00", "1000000", "-3", ""],
    ]


def test_rows_of_a_workbook_have_the_numbers_of_the_sheet(tmp_path: Path) -> None:
    """Empty rows are left out, and those beyond the end cost nothing."""

    def far(sheet: Any) -> None:
        sheet["A20000"] = " "

    rows = [[None, None], ["p", "n"], ["a", 1], [None, None], ["b", None], [None, 3, 4]]
    table, wrong = read(workbook(tmp_path / "a.xlsx", *rows, change=far))
    assert wrong == ["a.xlsx: row 6: the row has 3 cells, but the header has 2"]
    assert cells(table) == [(3, {"p": "a", "n": "1"}), (5, {"p": "b", "n": ""})]


def test_a_sheet_is_chosen_by_name_and_else_is_the_first_that_is_shown(tmp_path: Path) -> None:
    """A hidden sheet is nothing that a person sees."""
    book = openpyxl.Workbook()
    book.active.sheet_state = "hidden"
    for name in ("Shots", "Notes"):
        book.create_sheet(name).append(["p"])
        book[name].append([name])
    book.save(tmp_path / "a.xlsx")
    assert cells(read(tmp_path / "a.xlsx")[0]) == [(2, {"p": "Shots"})]
    assert cells(read(tmp_path / "a.xlsx", "Notes")[0]) == [(2, {"p": "Notes"})]
    assert read(tmp_path / "a.xlsx", "Shot") == (None, ["a.xlsx: no such sheet: 'Shot'"])


def test_a_formula_without_a_result_is_no_empty_cell(tmp_path: Path) -> None:
    """Programs write formulas without calculating them; the prompt would silently lack its end."""
    _, wrong = read(workbook(tmp_path / "a.xlsx", ["p", "q"], ["a", '=A2&"!"'], ["b", None]))
    assert wrong == ["a.xlsx: row 2: B2 is a formula whose result is not in the file"]


@pytest.mark.parametrize(
    ("rows", "change", "words"),
    [
        (
            [["p", "q"], ["a", "b"]],
            lambda sheet: sheet.merge_cells("A2:B2"),
            "a.xlsx: cells are merged: A2:B2",
        ),
        ([["p"], ["#REF!"]], lambda _: None, "a.xlsx: row 2: A2 contains the error #REF!"),
        ([["p", "p"], ["a", "b"]], lambda _: None, "a.xlsx: row 1: duplicate column name 'p'"),
        ([["p", None, "q"]], lambda _: None, "a.xlsx: row 1: column 2 has no name"),
        ([], lambda _: None, "a.xlsx: the sheet has no header"),
    ],
)
def test_a_sheet_that_would_be_misread_is_refused(
    rows: list[list[Any]], change: Callable[[Any], None], words: str, tmp_path: Path
) -> None:
    """Each would make other videos than the person sees in the sheet."""
    assert read(workbook(tmp_path / "a.xlsx", *rows, change=change))[1] == [words]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"p,q\n1,2\n", "the file is damaged, or is not an .xlsx workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "the file is an old .xls or is password-protected"),
        (b"", "the file is damaged, or is not an .xlsx workbook"),
    ],
)
def test_a_file_that_is_not_a_workbook_is_refused_in_one_line(
    data: bytes, words: str, tmp_path: Path
) -> None:
    """Whatever stands in the file."""
    (tmp_path / "a.xlsx").write_bytes(data)
    assert read(tmp_path / "a.xlsx") == (None, [f"a.xlsx: {words}"])


def test_a_damaged_workbook_is_refused_in_one_line(tmp_path: Path) -> None:
    """A zip that lacks a part, or holds another."""
    whole = workbook(tmp_path / "a.xlsx", ["p"], ["a"])
    with zipfile.ZipFile(whole) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for name in ("xl/worksheets/sheet1.xml", "xl/workbook.xml", "[Content_Types].xml"):
        for data in (None, b"<a"):
            with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
                for other, text in parts.items():
                    if other != name or data is not None:
                        archive.writestr(other, text if other != name or data is None else data)
            table, wrong = read(tmp_path / "b.xlsx")
            assert (table, len(wrong)) == (None, 1), (name, data)


def test_a_workbook_that_unpacks_without_end_is_not_unpacked(tmp_path: Path) -> None:
    """The sizes that the archive gives are looked at before anything is read."""
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b" " * 40_000_000)
    words = "a.xlsx: xl/worksheets/sheet1.xml in it unpacks to more than 200 times its size"
    assert read(tmp_path / "a.xlsx") == (None, [words])


def parquet(path: Path, **columns: Any) -> Path:
    """A parquet file in row groups of two."""
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_values_of_a_parquet_file_are_taken_as_those_of_jsonl(tmp_path: Path) -> None:
    """Nested columns stay nested, whole numbers that pandas made fractions of are whole, NaN is nothing."""
    path = parquet(
        tmp_path / "a.parquet",
        p=pa.array(["a", "b", "c"]).dictionary_encode(),
        n=[5.0, float("nan"), 0.5],
        d=[datetime.datetime(2026, 11, 28), datetime.datetime(2026, 11, 28, 9), None],
        m=[Decimal("1.50"), None, Decimal("2.00")],
        cam=[{"move": "pan", "refs": ["x"]}, {"move": None, "refs": []}, None],
    )
    table, wrong = read(path)
    assert wrong == []
    assert cells(table) == [
        (1, {"p": "a", "n": 5, "d": "2026-11-28", "m": "1.50", "cam": {"move": "pan", "refs": ["x"]}}),
        (2, {"p": "b", "n": None, "d": "2026-11-28 09:00:00", "m": None, "cam": {"move": None, "refs": []}}),
        (3, {"p": "c", "n": 0.5, "d": None, "m": "2.00", "cam": None}),
    ]
    assert table is not None
    assert table.has("cam.move")
    assert table.has("cam.refs.0")
    assert not table.has("cam.refs.1")


def test_columns_of_bytes_are_left_out_with_a_warning(tmp_path: Path) -> None:
    """Data sets carry their pictures beside the captions; the captions can be used."""
    path = parquet(tmp_path / "a.parquet", p=["a"], image=[{"bytes": b"x", "path": "a.png"}], raw=[b"y"])
    table, wrong = read(path)
    assert cells(table) == [(1, {"p": "a"})]
    assert wrong == [
        "a.parquet: the column 'image' contains bytes and is skipped",
        "a.parquet: the column 'raw' contains bytes and is skipped",
    ]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (["a", "b\0"], "a.parquet: row 2: invalid row: it contains a NUL character"),
        ([1.0, float("inf")], "a.parquet: row 2: invalid row: it contains an infinite number"),
    ],
)
def test_a_value_that_no_request_can_hold_is_an_error(column: list[Any], words: str, tmp_path: Path) -> None:
    """With the row's number."""
    assert read(parquet(tmp_path / "a.parquet", p=column))[1] == [words]


def test_a_damaged_parquet_file_is_refused_in_one_line(tmp_path: Path) -> None:
    """Cut short, or something else altogether."""
    data = parquet(tmp_path / "a.parquet", p=["a"] * 100).read_bytes()
    for part in (data[:-1], data[:100], b"", b"p\na\n", data[:4] + bytes(40) + data[44:]):
        (tmp_path / "b.parquet").write_bytes(part)
        assert read(tmp_path / "b.parquet") == (None, ["b.parquet: the file is damaged, or is not parquet"])


def test_a_parquet_file_of_too_many_rows_is_refused_unread(tmp_path: Path) -> None:
    """A few bytes can stand for a billion equal rows."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"p": pa.nulls(1_000_001, pa.string())}), path)
    assert read(path) == (None, ["a.parquet: the file has 1,000,001 rows; the limit is 1,000,000"])


@pytest.mark.parametrize(("ending", "name"), [(".xlsx", "openpyxl"), (".parquet", "pyarrow")])
def test_a_library_that_is_not_installed_is_named_with_the_command(
    ending: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who reads csv needs it."""

    def missing(module: str) -> Any:
        raise ModuleNotFoundError(module)

    monkeypatch.setattr(extras, "import_module", missing)
    (tmp_path / f"a{ending}").write_bytes(b"")
    report = Report()
    assert read_rows(tmp_path / f"a{ending}", "a", "a", report) is None
    (problem,) = report.problems()
    assert problem.message == f"reading {ending} files needs {name}, which is not installed"
    assert problem.hint == "run `pip install 'batchrunner[tables]'`"
