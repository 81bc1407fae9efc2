"""Words for people, from numbers and from text that somebody else chose."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")

_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u180e\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0]"
)


def printable(text: str) -> str:
    """`text` on one line, without anything that could steer a terminal or turn the writing direction."""
    return _CONTROL.sub(" ", text).strip()


def visible(text: str) -> str:
    """`text` with what no eye can see, or tell from an ordinary blank, as an escape: `\\u200b`."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def columns(text: str) -> int:
    """How wide `text` is on a terminal; Chinese characters take two columns."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, width: int) -> str:
    """`text` without controls, its blanks kept, cut to `width` columns."""
    clean, used = _CONTROL.sub(" ", text), 0
    for index, char in enumerate(clean):
        used += columns(char)
        if used > width:
            return clean[: max(index - 1, 0)] + "…"
    return clean


def shortened(text: str, width: int) -> str:
    """`text`, printable, cut to `width` columns."""
    return cut(printable(text), width)


def span(seconds: float) -> str:
    """A length of time: `48 s`, `12 min`, `3 h 05 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def count(number: int, one: str, many: str = "") -> str:
    """`1 task`, `2 tasks`, `1,000 tasks`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
