"""Lines of a txt: prompts, comments, and what is probably neither."""

import pytest

from batchrunner.manifest.lines import Line, doubts, lines_of


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("A cat #1", "A cat #1"),
        ("# A cat", None),
        ("  #A cat", None),
        (r"\#cat", "#cat"),
        (r"\\#cat", r"\#cat"),
        (r"\cat", r"\cat"),
        ("", None),
    ],
)
def test_a_line_is_a_prompt_or_a_comment(line: str, prompt: str | None) -> None:
    """A backslash makes a prompt of what would be a comment."""
    assert list(lines_of([f"{line}\n", "end"])) == [*([Line(1, prompt)] if prompt else []), Line(2, "end")]


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (["1. A cat", "2. A dog"], 0),
        (["1) A cat", "2）A dog"], 0),
        (["1、猫", "2、狗"], 0),
        (["- A cat", "- A dog"], 0),
        (["prompt", "A cat"], 1),
        (["id,Prompt", "a,A cat"], 1),
        (["提示词", "猫"], 1),
    ],
)
def test_a_line_that_does_not_look_like_a_prompt_is_warned_about(lines: list[str], line: int) -> None:
    """Lists and headers."""
    (doubt,) = doubts([Line(number, prompt) for number, prompt in enumerate(lines, start=1)])
    assert doubt.line == line
    assert doubt.hint


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["1. A cat"],
        ["1. A cat", "A dog"],
        ["- A cat", "1. A dog"],
        ["3 cats", "2 dogs"],
        ["16:9 film of a cat", "4:3 film of a dog"],
        ["1.5 million cats", "2.5 million dogs"],
        ["A prompt answer", "A dog"],
        ["A cat", "prompt"],
    ],
)
def test_prompts_are_left_alone(lines: list[str]) -> None:
    """One line is no list, a number is no list's, and a header stands first."""
    assert list(doubts([Line(number, prompt) for number, prompt in enumerate(lines, start=1)])) == []
