"""Header lines of a csv or tsv: Excel's `sep=` line, and column names without invisible characters."""

from __future__ import annotations

import re
from typing import NamedTuple

from batchrunner.manifest.typos import without_odd

_SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\r\n])"?[ \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_NOTHING = re.compile("[\u00ad\u200b\u2060\ufeff]")
"""Characters without width or meaning in a name, unlike the joiners of some scripts."""
_BLANK = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


class SeparatorLine(NamedTuple):
    """The separator in Excel's `sep=;` line, and the line's length; empty and 0 if there is none."""

    separator: str = ""
    length: int = 0


def separator_line(text: str) -> SeparatorLine:
    """The separator named in the first line."""
    found = _SEPARATOR_LINE.match(text)
    return SeparatorLine(found["separator"], found.end()) if found else SeparatorLine()


def column_name(cell: str) -> str:
    """The name without invisible characters, which come from web pages and chats."""
    return without_odd(_BLANK.sub(" ", _NOTHING.sub("", cell)))
