"""Prompts that are no prompts are warned of, and nothing else is."""

import pytest

from batchrunner.core.problems import Severity
from batchrunner.core.rules.prompts import check_words


@pytest.mark.parametrize(
    "prompt",
    [
        *("-", "...", "。。。", "😀", "?!", "—"),
        *("TODO", "todo:", "nan", "NaN", "NULL", "None", "N/A", "#N/A", "<todo>"),
    ],
)
def test_a_placeholder_is_warned_of(prompt: str) -> None:
    """Each is a video of nothing that would be paid for."""
    (finding,) = check_words(prompt)
    assert finding.severity is Severity.WARNING
    assert finding.path == ("prompt",)
    assert finding.hint


@pytest.mark.parametrize(
    "prompt", ["猫", "ネコ", "кот", "بحر", "नदी", "7", "a", "None of us", "A null island", "", " "]
)
def test_a_prompt_in_any_script_is_a_prompt(prompt: str) -> None:
    """Letters of every script count, and an empty prompt is an error elsewhere."""
    assert list(check_words(prompt)) == []
