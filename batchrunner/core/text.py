"""Formats numbers and untrusted text for display."""

from __future__ import annotations

import csv
import re
import shlex
import sys
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")

_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0]"
)

_HALF = re.compile("[\ud800-\udfff]")
_UNSHOWABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SECRET = re.compile(r"sk-[A-Za-z0-9_-]{6,}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


def printable(text: str) -> str:
    """`text` on one line, without terminal control characters or changes of text direction."""
    return _CONTROL.sub(" ", text).strip()


def command(*words: object) -> str:
    """A `batchrunner` command line, quoted for the shell."""
    return f"batchrunner {shlex.join(map(str, words))}"


def visible(text: str) -> str:
    """`text` with invisible characters and unusual spaces escaped: `\\u200b`."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def columns(text: str) -> int:
    """The width of `text` on a terminal; Chinese characters take two columns."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """`text` without control characters, spaces kept, truncated to `width` columns."""
    clean, used = _CONTROL.sub(" ", text), 0
    if 2 * len(clean) <= width:  # however wide they are: most texts are short
        return clean
    for index, char in enumerate(clean):
        used += columns(char)
        if used > width:
            return clean[: max(index - 1, 0)] + "…"
    return clean


def shortened(text: str, width: int) -> str:
    """`text`, made printable and truncated to `width` columns."""
    return cut(printable(text), width)


def plain_number(text: str) -> float | None:
    """A number in decimal notation, such as `12.5`; None for other text, even if `float` would take it."""
    return float(text) if _NUMBER.fullmatch(text) else None


def moment(at: float) -> str:
    """A time for people, in their own time zone; `at` in Unix seconds."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def iso(at: float | None) -> str | None:
    """A time in ISO 8601, UTC, as in results.csv; None for None. `at` in Unix seconds."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(seconds: float) -> str:
    """A duration: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int, one: str, many: str = "") -> str:
    """`1 task`, `2 tasks`, `1,000 tasks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def is_text(text: str) -> bool:
    """Whether it can be shown and stored; a file name that is not UTF-8 can't, for example."""
    return not _HALF.search(text)


def quotable(text: str) -> str:
    """The text made safe to show, at the same length: without API keys and terminal control characters."""
    text = _UNSHOWABLE.sub("\ufffd", text)
    return _SECRET.sub(lambda found: "sk-" + "*" * (len(found.group()) - 3), text)


def allow_long_cells() -> None:
    """Let the csv module read cells of any length; its own limit is 131,072 characters."""
    csv.field_size_limit(sys.maxsize)


def closest(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str:
    """The choice that was probably meant; empty if none is close. A `cutoff` of 1 requires an exact match."""
    from difflib import get_close_matches  # noqa: PLC0415  only mistakes need it

    return next(iter(get_close_matches(word, list(choices), n=1, cutoff=cutoff)), "")
