"""Reads prompts from a txt file, one per line without comments, and warns about lines that look wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
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


def lines_of(text: Iterable[str]) -> Iterator[Line]:
    """The prompts of a file's lines; one starting with # is a comment, and `\\#` escapes a leading #."""
    for number, line in enumerate(text, start=1):
        prompt = line.strip().strip("\ufeff").strip()  # `cat a.txt b.txt` leaves a BOM in the middle
        if prompt and not prompt.startswith("#"):
            yield Line(number, prompt[1:] if _ESCAPED.match(prompt) else prompt)


def doubts(lines: Iterable[Line]) -> Iterator[Doubt]:
    """The warnings for a file."""
    rest = iter(lines)
    first = next(rest, None)
    if first is None:
        return
    if header := _header(first.prompt):
        hint = "a txt file has no header: delete the line" + (
            "" if header == first.prompt.lower() else ", or rename the file to .csv"
        )
        message = f"the first line is `{first.prompt[:40]}`, which will be made into a video"
        yield Doubt(first.number, message, hint)
    kind, second = _kind_of_item(first), next(rest, None)
    if kind and second and all(_kind_of_item(line) == kind for line in chain([second], rest)):
        sign = "a number such as `1. `" if kind == "number" else "a list marker such as `- `"
        message = f"every line starts with {sign}, which will be part of the prompt"
        removed = "[(]?[0-9]+[.):]" if kind == "number" else "[-*+]"
        hint = f"delete it from each line, for example with `sed -E 's/^ *{removed} *//' OLD > NEW`"
        yield Doubt(0, message, hint)


def _kind_of_item(line: Line) -> str:
    """How a line starts if it is an item of a list: `number` or `bullet`; empty if it is none."""
    found = _ITEM.match(line.prompt)
    return "" if found is None else "number" if found["number"] else "bullet"


def _header(prompt: str) -> str:
    """The column name, if a line looks like the header of a table."""
    names = [name.strip(" \"'").lower() for name in re.split("[,;\t|]", prompt)]
    return next((name for name in names if name in _HEADERS), "")
