"""The first lines of tables from spreadsheets."""

import pytest

from batchrunner.core.text import visible
from batchrunner.manifest.headers import column_name, separator_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sep=;\na;b", (";", 6)),
        ("SEP=,\r\na,b", (",", 7)),
        ('"sep=|"\ra|b', ("|", 8)),
        ("sep=\t\na\tb", ("\t", 6)),
        ("sep=;", (";", 5)),
        ("sep=;;\n", ("", 0)),
        ("sep,prompt\n", ("", 0)),
        ("a\nsep=;\n", ("", 0)),
    ],
)
def test_the_sep_line_of_excel_names_the_separator(text: str, expected: tuple[str, int]) -> None:
    """With or without quotes, and only as the first line."""
    assert separator_line(text) == expected


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        (" prompt\t", "prompt"),
        ("\ufeffprompt", "prompt"),
        ("pro\u200bm\u00adpt\u2060", "prompt"),
        ("\u00a0my\u00a0place\u3000", "my place"),
        ("\u200f\u200eprompt\u200d", "prompt"),
        ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)
def test_a_column_is_named_as_it_looks(cell: str, name: str) -> None:
    """But for the joiners within a word, which some scripts need."""
    assert column_name(cell) == name


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\u200bb", r"a\u200bb"),
        ("\u00a0a\u3000", r"\u00a0a\u3000"),
        ("\u202eabc", r"\u202eabc"),
        ("\ufeff", r"\ufeff"),
        ("一只猫 — “a” é …\n", "一只猫 — “a” é …\n"),
    ],
)
def test_invisible_characters_are_shown_as_escapes(text: str, seen: str) -> None:
    """Everything else is left as it is."""
    assert visible(text) == seen
