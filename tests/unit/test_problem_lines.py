"""Problems as lines: the source line without secrets, whatever part of it is shown."""

import pytest

from batchrunner.cli.problem_lines import SNIPPET_WIDTH, long_lines
from batchrunner.core.problems import Problem, Severity
from batchrunner.manifest.source import Source
from batchrunner.manifest.value_faults import shown

PASSWORD = "c4n4ry" * 4
ADDRESSES = (
    f"https://bob:{PASSWORD}@files.example.com/cat.jpg",
    f"https://bob:{PASSWORD}/{PASSWORD}@files.example.com/cat.jpg",
    f"https://files.example.com/cat.jpg?Signature={PASSWORD}&x={PASSWORD}",
)


def lines(text: str, column: int) -> list[str]:
    """What is printed about a problem in this column of a line, counted from 1."""
    problem = Problem(Severity.ERROR, Source("m.yaml", text).place(1, column), "wrong", "correct it")
    return list(long_lines([problem], every=True))


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_is_never_shown_wherever_a_line_is_cut(address: str) -> None:
    """The problem may be before, within or behind the address, and the line longer than what is shown."""
    line = f"{'x' * 30} image: {address} {'y' * 1500} z: 1"
    for column in range(1, len(line) + 2):
        _, source, caret, *_ = lines(line, column)
        assert "c4n4" not in source
        assert len(source) <= len("    1 | ") + SNIPPET_WIDTH + 1
        assert len(caret) <= len(source) + 1


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_quoted_line_does_not_end_within_an_address(address: str) -> None:
    """Whoever redacts the line later, for JSON for instance, must recognize the whole address."""
    for before in range(0, 1100, 7):
        line = f"{'x' * before} {address} {'y' * 1500}"
        snippet = Source("m.yaml", line).place(1, 1).snippet
        assert PASSWORD not in snippet or address in snippet
        assert line.startswith(snippet)


def test_the_caret_is_below_the_place() -> None:
    """Characters before it may be wide, redacted, or not shown at all."""
    for line in ("id: cat", "id: 猫猫猫 cat", f"url: {ADDRESSES[0]} cat", f"{'x' * 300} cat", "\tid: cat"):
        _, source, caret, *_ = lines(line, line.index("cat", len(line) - 4) + 1)
        wide = source.count("猫")
        assert source[caret.index("^") - wide :] == "cat"


def test_a_value_in_a_message_is_redacted_before_it_is_shortened() -> None:
    """Sixty characters of an address may end in its password."""
    for address in ADDRESSES:
        assert "c4n4" not in shown(address)
