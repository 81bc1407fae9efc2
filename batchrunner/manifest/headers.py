"""The first lines of a csv or tsv: Excel's own, and names without what nobody sees."""

from __future__ import annotations

import re
from typing import NamedTuple

from batchrunner.manifest.typos import without_odd

_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\r\n])"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_NOTHING = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Characters that have neither width nor meaning in a name, unlike the joiners of some scripts."""
_BLANK = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


class SeparatorLine(NamedTuple):
    """Excel's `sep=;`: the separator that it names, and the length of the line; empty and 0 without one."""

    separator: str = ""
    length: int = 0


def separator_line(text: str) -> SeparatorLine:
    """What the first line says of the separator."""
    found = _SEPARATOR_LINE.match(text)
    return SeparatorLine(found["separator"], found.end()) if found else SeparatorLine()


def column_name(cell: str) -> str:
    """The name that is meant: web pages and chats put characters into it that nobody sees."""
    return without_odd(_BLANK.sub(" ", _NOTHING.sub("", cell)))
