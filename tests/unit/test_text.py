"""Words for people: nothing that somebody else chose may steer a terminal."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.text import columns, command, count, cut, printable, shortened, span

TEXT = (
    st.lists(st.sampled_from(["a", "一", "…", " ", "\t", "\x1b", "\u202e", "\r\n", "é"])).map("".join)
    | st.text()
)

DANGEROUS = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff",
]


@pytest.mark.parametrize("char", DANGEROUS, ids=lambda char: f"U+{ord(char):04X}")
def test_no_text_steers_a_terminal(char):
    """Control characters and marks that turn the writing direction become blanks."""
    assert printable(f"a{char}b") == "a b"
    assert printable(f"{char}a{char}{char}") == "a"


def test_ordinary_text_is_untouched():
    """Letters of any script, signs and pictures stay as they are."""
    text = "Ein Kätzchen, 一只猫！ 🐈 \\n ‘quoted’ x=1"
    assert printable(text) == text


@given(TEXT, st.integers(1, 30))
def test_a_shortened_text_fits(text, width):
    """A shortened text is never wider than asked, is on one line, and is whole where it fits."""
    short = shortened(text, width)
    assert columns(short) <= width
    assert not set(short) & set(DANGEROUS)
    if columns(printable(text)) <= width:
        assert short == printable(text)
    else:
        assert short.endswith("…")


def test_wide_characters_take_two_columns():
    """Chinese takes two columns a character, and a cut never goes through one."""
    assert columns("猫a") == 3
    assert cut("一只猫在月球", 7) == "一只…"
    assert cut("  a", 9) == "  a"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (48.4, "48 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (11_100, "3 h 05 min")],
)
def test_lengths_of_time_use_the_usual_unit(seconds, words):
    """A length of time is told in the unit that people would use."""
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 tasks"), (1, "1 task"), (2, "2 tasks"), (1000, "1,000 tasks")]
)
def test_counted_nouns_take_singular_or_plural(number, words):
    """One thing is one, several are several."""
    assert count(number, "task") == words
    assert count(2, "reply", "replies") == "2 replies"


def test_a_suggested_command_can_be_pasted_into_a_shell() -> None:
    """Names with blanks, quotes or a dollar are quoted; others stand as they are."""
    words = ["resolve", "my run/token=$a", "it's", "--lost"]
    assert shlex.split(command(*words)) == ["batchrunner", *words]
    assert command("collect", "cats.run", "--missing") == "batchrunner collect cats.run --missing"
