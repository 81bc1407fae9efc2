"""verdicts.csv as reports and spreadsheets write it."""

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.core.verdicts import COLUMNS, Verdict, parsed

HEADER = ",".join(COLUMNS)
ROW = "r1,1-aa,ant,videos/ant.mp4,reject,too dark"


def problems(text: str) -> list[str]:
    """The problems of a file, each with its place."""
    with pytest.raises(ManifestError) as refused:
        parsed(text.encode(), "v.csv")
    return [f"{one.place}: {one.message}" for one in refused.value.problems]


def test_a_row_is_read_with_all_its_columns() -> None:
    """Names, verdict and note as written, and the line where the row begins."""
    (row,) = parsed(f"{HEADER}\r\n{ROW}\r\n".encode(), "v.csv")
    assert (row.run, row.fingerprint, row.id, row.file_name) == ("r1", "1-aa", "ant", "videos/ant.mp4")
    assert (row.verdict, row.note, row.line) == (Verdict.REJECT, "too dark", 2)


@pytest.mark.parametrize("newline", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_spreadsheets_save_is_read_alike(newline: str, delimiter: str, encoding: str) -> None:
    """Any separator, line end and byte order mark; other columns, another order, empty rows and ends."""
    lines = [
        ["Note", "cost", "verdict ", "file_name", "fingerprint", "run", "id", ""],
        ['"a\nb"', "1,5" if delimiter == ";" else "1.5", " Reject", "videos/猫.mp4", "1-aa", "r1"],
        [""] * 8,
        ["'=1+1", "", "", "videos/b.mp4", "1-bb", "r1", "b", ""],
    ]
    text = newline.join(delimiter.join(line) for line in lines)
    first, second = parsed(text.encode(encoding), "v.csv")
    assert (first.note, first.verdict, first.file_name, first.id) == (
        "a\nb",
        Verdict.REJECT,
        "videos/猫.mp4",
        "",
    )
    assert (second.note, second.verdict, second.line) == ("'=1+1", Verdict.UNDECIDED, 5)


def test_a_header_alone_has_no_verdicts() -> None:
    """Nothing was decided yet: no error."""
    assert parsed(HEADER.encode(), "v.csv") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["v.csv:1: missing columns: `run`, `fingerprint`, `file_name`, `verdict`"]),
        ("run,fingerprint,file_name\nr1,1-aa,a.mp4", ["v.csv:1: missing column: `verdict`"]),
        (f"{HEADER},verdict\n{ROW},keep", ["v.csv:1: the column `verdict` is there twice"]),
        (f"{HEADER}\n{ROW}, really", ["v.csv:2: the row has more cells than the first line has names"]),
        (
            f"{HEADER}\n,1-aa,,a.mp4,,\n{ROW}",
            ["v.csv:2: `run` is empty: it isn't clear which video is meant"],
        ),
        (
            f"{HEADER}\n{ROW}\nr1,1-bb,,,reject",
            ["v.csv:3: `file_name` is empty: it isn't clear which video is meant"],
        ),
        (
            f'{HEADER}\n{ROW}\nr1,1-bb,b,b.mp4,reject,"open\n{ROW}',
            ["v.csv:3: the table is broken: unexpected end of data"],
        ),
        (
            f"{HEADER}\n{ROW}\n\n{ROW.replace('reject', 'keep')}",
            ["v.csv:4: videos/ant.mp4 is `keep` here, but `reject` in line 2"],
        ),
        (
            f"{HEADER}\n{ROW.replace('reject', 'no')}\n{ROW.replace('reject', 'yes')}",
            ['v.csv:2: "no" is not a verdict', 'v.csv:3: "yes" is not a verdict'],
        ),
    ],
)
def test_what_is_not_clear_is_refused_with_its_line(text: str, said: list[str]) -> None:
    """Money depends on the cells: nothing is guessed, and all problems are named at once."""
    assert problems(text) == said


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """A note that is not UTF-8 is named with its line."""
    with pytest.raises(ManifestError) as refused:
        parsed(f"{HEADER}\n{ROW}\nr1,1-bb,b,b.mp4,keep,太暗".encode(encoding), "v.csv")
    (found,) = refused.value.problems
    assert (found.place.line, found.message) == (3 if encoding == "gb18030" else 1, "the file is not UTF-8")


def test_a_note_may_be_long() -> None:
    """Longer than the csv module allows by itself."""
    note = "too dark, " * 20_000
    (row,) = parsed(f'{HEADER}\nr1,1-aa,ant,videos/ant.mp4,reject,"{note}"'.encode(), "v.csv")
    assert row.note == note


def test_the_same_row_twice_is_no_contradiction() -> None:
    """Two saved files put together, and a note of its own."""
    rows = parsed(f"{HEADER}\n{ROW}\n{ROW}\n{ROW.replace('reject', '')}".encode(), "v.csv")
    assert [row.verdict for row in rows] == [Verdict.REJECT, Verdict.REJECT, Verdict.UNDECIDED]
