"""Rows files: what csv and jsonl may look like."""

from pathlib import Path

import pytest

from batchrunner.manifest.reporting import Report
from batchrunner.manifest.rows import Table, read_rows


def read(path: Path, data: bytes) -> tuple[Table | None, list[str]]:
    """The table in a file, and what is wrong with it."""
    path.write_bytes(data)
    report = Report()
    table = read_rows(path, path.name, path.name, report)
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


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    """The csv module's own limit of 128 KB does not count: a data URI is longer."""
    table, wrong = read(tmp_path / "a.csv", b"a\n" + b"x" * 1_000_000 + b"\n")
    assert (len(table.rows) if table else 0, wrong) == (1, [])


def test_a_header_alone_is_nothing_to_do(tmp_path: Path) -> None:
    """No row is no mistake, but its columns are known."""
    table, wrong = read(tmp_path / "a.csv", b"a,b\n")
    assert table is not None
    assert (list(table.columns), table.rows, wrong) == (["a", "b"], [], [])


def test_an_empty_jsonl_is_nothing_to_do(tmp_path: Path) -> None:
    """There is nothing, and nothing wrong."""
    assert read(tmp_path / "a.jsonl", b"\n") == (None, [])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "Expecting property name enclosed in double quotes at column 2"),
        (b"5", "it holds something else"),
        (b'{"a": 1, "a": 2}', "the key 'a' is written twice"),
        (b'{"a": Infinity}', "Infinity is no JSON number"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "it is nested too deeply"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
        (rb'{"a": "\ud800"}', "half of a \\u pair is missing"),
        (b'{"a": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    ],
)
def test_a_line_that_is_no_object_is_told(line: bytes, reason: str, tmp_path: Path) -> None:
    """The other lines are still read."""
    table, (wrong,) = read(tmp_path / "a.jsonl", b'{"a": 0}\n\n' + line + b'\n{"a": 3, "b": [1]}\n')
    assert wrong.startswith(f"a.jsonl: row 2: the line is no JSON object: {reason}")
    assert table is not None
    assert [row.number for row in table.rows] == [1, 3]
    assert list(table.columns) == ["a", "b"]


def test_types_of_a_jsonl_are_kept(tmp_path: Path) -> None:
    """Numbers and booleans come as they are; a U+2028 does not end a line."""
    table, _ = read(tmp_path / "a.jsonl", '{"a": 1, "b": true, "c": null, "d": "x\u2028y"}\r\n'.encode())
    assert table is not None
    assert table.rows[0].cells == {"a": 1, "b": True, "c": None, "d": "x\u2028y"}
