"""Detects placeholder prompts, as in table cells that were never filled in.

The model makes a video from any prompt, and it is paid for.
"""

from __future__ import annotations

from collections.abc import Iterator

from batchrunner.core.rules.inputs import InputFault, warning

_PLACEHOLDERS = frozenset(
    {
        *("fixme", "na", "n/a", "nan", "nat", "nil", "none", "null", "pd.na", "tba", "tbc", "tbd", "todo"),
        *("undefined", "placeholder", "prompt here", "insert prompt here", "your prompt", "your prompt here"),
        *("div/0", "name", "num", "ref", "value"),  # Excel's #DIV/0! etc.
        *("待定", "待补", "待填", "无", "空"),
    }
)
_AROUND = " \t\n.,:;!?…。，：；！？#-_*<>()[]{}\"'`“”‘’（）【】《》"
_LONGEST = 40
_HINT = "describe the video, or delete the task: otherwise it is submitted and paid for unchanged"


def check_words(prompt: str) -> Iterator[InputFault]:
    """Warn about a prompt that looks empty or like a placeholder."""
    if not any(map(str.isalnum, prompt)):
        if prompt.strip():  # an empty one is an error elsewhere
            yield warning(("prompt",), "the prompt has no letters or digits", _HINT)
    elif len(prompt) <= _LONGEST and prompt.strip(_AROUND).lower() in _PLACEHOLDERS:
        yield warning(
            ("prompt",), f"the prompt is only `{prompt.strip()}`, which looks like a placeholder", _HINT
        )
