"""Reads prompts from a txt file, one per line without comments, and warns about lines that look wrong."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_ESCAPED = re.compile(r"\\+#")
# a prompt may start with 16:9 or 1.5
_ITEM = re.compile(r"[(（]?(?P<number>[0-9]{1,4})[.)）、:．](?:\s+|(?=[^\s0-9]))|(?P<bullet>[-*+•·–])\s+")
_HEADERS = frozenset({"prompt", "prompts", "提示词"})


class Line(NamedTuple):
    """A prompt and its line number."""

    number: int
    prompt: str


class Doubt(NamedTuple):
    """A warning about a file's content; `line` is 0 for the file as a whole."""

    line: int
    message: str
    hint: str


def lines_of(text: str) -> Iterator[Line]:
    """The prompts of a file; a line starting with # is a comment, and `\\#` escapes a leading #."""
    for number, line in enumerate(io.StringIO(text, newline=None), start=1):
        prompt = line.strip().strip("\ufeff").strip()  # `cat a.txt b.txt` leaves a BOM in the middle
        if prompt and not prompt.startswith("#"):
            yield Line(number, prompt[1:] if _ESCAPED.match(prompt) else prompt)


def doubts(lines: Sequence[Line]) -> Iterator[Doubt]:
    """The warnings for a file."""
    if lines and (header := _header(lines[0].prompt)):
        hint = "a txt file has no header: delete the line" + (
            "" if header == lines[0].prompt.lower() else ", or rename the file to .csv"
        )
        yield Doubt(
            lines[0].number,
            f"the first line is `{lines[0].prompt[:40]}`, which will be made into a video",
            hint,
        )
    items = [_ITEM.match(line.prompt) for line in lines]
    kind = "number" if all(item and item["number"] for item in items) else "bullet"
    if len(items) > 1 and all(item and item[kind] for item in items):
        sign = "a number such as `1. `" if kind == "number" else "a list marker such as `- `"
        message = f"every line starts with {sign}, which will be part of the prompt"
        removed = "[(]?[0-9]+[.):]" if kind == "number" else "[-*+]"
        hint = f"delete it from each line, for example with `sed -E 's/^ *{removed} *//' OLD > NEW`"
        yield Doubt(0, message, hint)


def _header(prompt: str) -> str:
    """The column name, if a line looks like the header of a table."""
    names = [name.strip(" \"'").lower() for name in re.split("[,;\t|]", prompt)]
    return next((name for name in names if name in _HEADERS), "")
