"""Rows files: what csv, tsv, jsonl and txt may look like, in whichever encoding."""

from pathlib import Path

import pytest

from batchrunner.manifest.reporting import Report
from batchrunner.manifest.rows import RowsFile, read_rows


def read(path: Path, data: bytes, encoding: str = "") -> tuple[RowsFile | None, list[str]]:
    """The table in a file, and what is wrong with it."""
    path.write_bytes(data)
    report = Report()
    table = read_rows(path, path.name, path.name, report, encoding)
    return table, [f"{problem.place}: {problem.message}" for problem in report.problems()]


def test_cells_may_hold_commas_quotes_and_lines(tmp_path: Path) -> None:
    """RFC 4180, with either line ending and with blank lines between; rows know the line they begin in."""
    table, wrong = read(tmp_path / "a.csv", b'\xef\xbb\xbfa , b\r\n1,"x, ""y""\nz"\r\n\r\n2,\n')
    assert wrong == []
    assert table is not None
    assert [(row.number, row.line, dict(row.cells)) for row in table.rows] == [
        (1, 2, {"a": "1", "b": 'x, "y"\nz'}),
        (2, 5, {"a": "2", "b": ""}),
    ]


def test_rows_of_nothing_but_separators_are_no_tasks(tmp_path: Path) -> None:
    """Spreadsheets write them for rows that were once used; those after them keep their numbers."""
    table, wrong = read(tmp_path / "a.csv", b"a,b\n1,2\n,\n3,4\n,\n,,,\n")
    assert wrong == []
    assert table is not None
    assert [(row.number, row.line) for row in table.rows] == [(1, 2), (3, 4)]


def test_empty_cells_beyond_the_last_column_are_nothing(tmp_path: Path) -> None:
    """Spreadsheets write them, and cells of blanks, where something once stood."""
    table, wrong = read(tmp_path / "a.csv", b"a,b,, \n1,2,,\n3,4\n , ,,\n5,,, ,,\n")
    assert wrong == []
    assert table is not None
    assert [(row.number, dict(row.cells)) for row in table.rows] == [
        (1, {"a": "1", "b": "2"}),
        (2, {"a": "3", "b": "4"}),
        (4, {"a": "5", "b": ""}),
    ]


def test_a_column_without_a_name_must_be_empty(tmp_path: Path) -> None:
    """What stands in it can't be meant for nothing; it is told once, at the header."""
    _, wrong = read(tmp_path / "a.csv", b"a,b,,\n1,2,x\n3,4,y\n5,6,,z\n7,8,,,z\n")
    assert wrong == [
        "a.csv:1: column 3 has no name",
        "a.csv:1: column 4 has no name",
        "a.csv: row 4: the row has 5 cells, but the header has 2",
    ]


def test_line_breaks_in_a_cell_are_of_one_kind(tmp_path: Path) -> None:
    """Git and editors change them, and the same prompt would be paid for again."""
    tables = [read(tmp_path / "a.csv", b'a\n"x%by"\n' % kind)[0] for kind in (b"\n", b"\r\n", b"\r")]
    assert [table.rows[0].cells if table else {} for table in tables] == [{"a": "x\ny"}] * 3


def test_half_a_character_is_refused_as_text(tmp_path: Path) -> None:
    """UTF-7 can say it, and nothing can keep it."""
    table, wrong = read(tmp_path / "a.csv", b"a\n+2AA-\n", "utf-7")
    assert table is None
    assert wrong == ["a.csv: the file contains half a surrogate pair"]


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    """The csv module's own limit of 128 KB does not count: a data URI is longer."""
    table, wrong = read(tmp_path / "a.csv", b"a\n" + b"x" * 1_000_000 + b"\n")
    assert (len(table.rows) if table else 0, wrong) == (1, [])


def test_a_header_alone_is_nothing_to_do(tmp_path: Path) -> None:
    """No row is no mistake, but its columns are known."""
    table, wrong = read(tmp_path / "a.csv", b"a,b\n")
    assert table is not None
    assert (list(table.columns), len(table.rows), wrong) == (["a", "b"], 0, [])


def test_an_empty_jsonl_is_nothing_to_do(tmp_path: Path) -> None:
    """There is nothing, and nothing wrong."""
    assert read(tmp_path / "a.jsonl", b"\n") == (None, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "invalid JSON at column 2"),
        (b"5", "it is not an object"),
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b'{"a": Infinity}', "Infinity is not a JSON number"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "it is nested too deeply"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
        (rb'{"a": "\ud800"}', "half of a \\u surrogate pair is missing"),
        (b'{"a": ' + b"9" * 5000 + b"}", "the number 99999999999999999999 is too large"),
        (b'{"a": 1e999}', "the number 1e999 is too large"),
        (rb'{"a": [{"b": "x\u0000"}]}', "it contains a NUL character"),
    ],
)
def test_a_line_that_is_not_an_object_is_reported(line: bytes, reason: str, tmp_path: Path) -> None:
    """The other lines are still read."""
    table, (wrong,) = read(tmp_path / "a.jsonl", b'{"a": 0}\n\n' + line + b'\n{"a": 3, "b": [1]}\n')
    assert wrong.startswith(f"a.jsonl: row 2: the line is not a JSON object: {reason}")
    assert table is not None
    assert [row.number for row in table.rows] == [1, 3]
    assert list(table.columns) == ["a", "b"]


def test_types_of_a_jsonl_are_kept(tmp_path: Path) -> None:
    """Numbers and booleans come as they are; a U+2028 does not end a line."""
    table, _ = read(tmp_path / "a.jsonl", '{"a": 1, "b": true, "c": null, "d": "x\u2028y"}\r\n'.encode())
    assert table is not None
    assert table.rows[0].cells == {"a": 1, "b": True, "c": None, "d": "x\u2028y"}


def test_a_tsv_is_a_csv_with_tabs(tmp_path: Path) -> None:
    """Commas are text in it, and quotes mean the same."""
    table, wrong = read(tmp_path / "a.TSV", b'id\tprompt\r\n1\tA cat, asleep\r\n2\t"A\t""b""\nc"\r\n')
    assert wrong == []
    assert table is not None
    assert [dict(row.cells) for row in table.rows] == [
        {"id": "1", "prompt": "A cat, asleep"},
        {"id": "2", "prompt": 'A\t"b"\nc'},
    ]


@pytest.mark.parametrize(
    ("name", "header", "kinds"),
    [("a.csv", b"a\tb", "tabs"), ("a.csv", b"a;b", "semicolons"), ("a.tsv", b"a,b", "commas")],
)
def test_another_separator_is_named(name: str, header: bytes, kinds: str, tmp_path: Path) -> None:
    """Rather than that the only column has a strange name."""
    assert read(tmp_path / name, header + b"\n1\n") == (
        None,
        [f"{name}:1: the columns are separated by {kinds}"],
    )


def test_each_line_of_a_txt_is_a_prompt(tmp_path: Path) -> None:
    """Blank lines are none, blanks around don't count, and every line knows its number."""
    table, wrong = read(tmp_path / "a.txt", "\ufeffA cat\r\n\r\n  一只狗, asleep \n".encode())
    assert wrong == []
    assert table is not None
    assert list(table.columns) == ["prompt", "line"]
    assert [(row.number, row.line, dict(row.cells)) for row in table.rows] == [
        (1, 1, {"prompt": "A cat", "line": 1}),
        (2, 3, {"prompt": "一只狗, asleep", "line": 3}),
    ]


def test_an_empty_txt_is_nothing_to_do(tmp_path: Path) -> None:
    """Its columns are known all the same."""
    table, wrong = read(tmp_path / "a.txt", b" \n")
    assert table is not None
    assert (len(table.rows), list(table.columns), wrong) == (0, ["prompt", "line"], [])


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [
        *[(name, "") for name in ("gb18030", "big5", "utf-16", "utf-8", "UTF8", "shift_jis")],
        *[(name, "\ufeff") for name in ("gb18030", "utf-16", "utf-8")],
    ],
)
def test_another_encoding_is_read_where_it_is_named(encoding: str, bom: str, tmp_path: Path) -> None:
    """With or without a byte order mark."""
    table, wrong = read(tmp_path / "a.csv", f"{bom}id,prompt\nx,月光\n".encode(encoding), encoding)
    assert wrong == []
    assert table is not None
    assert [dict(row.cells) for row in table.rows] == [{"id": "x", "prompt": "月光"}]


@pytest.mark.parametrize(
    ("name", "begin", "row"),
    [
        ("a.csv", b"id,prompt\n", 1),
        ("a.csv", b"id", 0),
        ("a.csv", b'id,prompt\n1,"two\nlines"\n\n2,', 2),
        ("a.tsv", b"id\tprompt\n1\tx\n", 2),
        ("a.txt", b"one\n\ntwo\nthree ", 3),
        ("a.jsonl", b'{"a": 1}\n{"a": "', 2),
        ("a.csv", b"", 0),
    ],
)
@pytest.mark.parametrize("encoding", ["", "gb18030"])
def test_undecodable_bytes_are_reported_with_their_row(
    name: str, begin: bytes, row: int, encoding: str, tmp_path: Path
) -> None:
    """Cells of several lines and blank lines don't mislead it."""
    table, (wrong,) = read(tmp_path / name, begin + b"\xff\xff\n", encoding)
    assert table is None
    where = f"{name}: row {row}" if row else f"{name}:1:{len(begin) + 1}"
    assert wrong == f"{where}: the file is not {encoding or 'UTF-8'}: byte 0xff is invalid"


def test_utf_16_is_recognised(tmp_path: Path) -> None:
    """Excel calls it Unicode text; its mark tells what to write."""
    path = tmp_path / "a.tsv"
    path.write_bytes("id\n1\n".encode("utf-16"))
    report = Report()
    assert read_rows(path, "a.tsv", "a.tsv", report) is None
    (problem,) = report.problems()
    assert problem.message == "the file is UTF-16, not UTF-8"
    assert problem.hint.startswith("set `encoding: utf-16` beside `rows`")
