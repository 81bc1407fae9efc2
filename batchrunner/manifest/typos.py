"""Detects characters that YAML reads differently than people do, and suggests what was meant."""

from __future__ import annotations

import re
from typing import NamedTuple

_BLANKS = "\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_INVISIBLE = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff"
_NAMES = {"\u00a0": "a no-break space", "\u3000": "a full-width space"}
_ODD = re.compile(f"[{_BLANKS}{_INVISIBLE}]")
_KEY = r"[ \t]*(?:- +)?(?P<key>[^\W\d][\w.-]*)"
_INDENTED = re.compile(f"[ \t]*(?P<at>[{_BLANKS}{_INVISIBLE}])")
_DASH = re.compile(r"[ \t]*(?P<at>[‐‑‒–—−•·‣◦●○▪*])[ \t]+\S")
_DASH_ALONE = re.compile(r"[ \t]*(?P<at>-)(?P<key>[^\W\d][\w.-]*):(?:[ \t]|$)")
_WIDE_COLON = re.compile(_KEY + "[ \t]*(?P<at>：)")
_ODD_AFTER_COLON = re.compile(_KEY + f":(?P<at>[{_BLANKS}{_INVISIBLE}])")
_COLON_ALONE = re.compile(_KEY + r"(?P<at>:)(?!//)\S")


_COMMENT = re.compile(r"[ \t]+#(?=[^\s#!-])")
_QUOTES = re.compile("[“„”].*[“”]|[‘‚’].*[‘’]|«.*»", re.DOTALL)


class Slip(NamedTuple):
    """A mistyped character; `column` counts from 1."""

    message: str
    hint: str
    column: int


def slip_in(line: str) -> Slip | None:
    """The mistyped character at the start of a line, if any."""
    if found := _INDENTED.match(line):
        message = f"{named(found['at'])} is used for indentation, where only spaces are allowed"
        return Slip(message, "indent with ordinary spaces", found.start("at") + 1)
    if found := _DASH.match(line):
        message = f"`{found['at']}` does not start a list item"
        return Slip(message, "write `- `, a hyphen and a space", found.start("at") + 1)
    if found := _DASH_ALONE.match(line):
        return Slip("missing space after the dash", f"write `- {found['key']}:`", found.start("at") + 1)
    if found := _WIDE_COLON.match(line):
        hint = f"write `{found['key']}: `, with an ordinary colon and a space"
        return Slip("`：` is a full-width colon, which YAML does not accept", hint, found.start("at") + 1)
    if found := _ODD_AFTER_COLON.match(line):
        message = f"{named(found['at'])} follows the colon, where YAML requires a space"
        return Slip(message, f"write `{found['key']}: `, with an ordinary space", found.start("at") + 1)
    if found := _COLON_ALONE.match(line):
        hint = f"write `{found['key']}: `, with a space after the colon"
        return Slip("missing space after the colon", hint, found.start("at") + 1)
    return None


def slip_after(line: str, column: int, text: str) -> Slip | None:
    """What looks wrong about unquoted text that ends before `column` of its line, if anything."""
    if _COMMENT.match(line[column - 1 :]):
        message = f"the text after `{text[-30:]}` is a comment, not part of the value"
        hint = "quote the whole text, or put a space after the `#` if it is a comment"
        return Slip(message, hint, line.index("#", column - 1) + 1)
    if _QUOTES.fullmatch(text):
        message = (
            f"the characters {text[0]} {text[-1]} are part of the text: YAML does not treat them as quotes"
        )
        return Slip(message, 'use " instead of both, or put the whole in " quotes', 0)
    return None


def odd_character(text: str) -> str:
    """The first invisible or space-like character of a text; empty if none."""
    found = _ODD.search(text)
    return found.group() if found else ""


def without_odd(text: str) -> str:
    """The text stripped of such characters."""
    return re.sub(rf"^(?:{_ODD.pattern}|\s)+|(?:{_ODD.pattern}|\s)+$", "", text)


def named(character: str) -> str:
    """The name of such a character."""
    return f"{_NAMES.get(character, 'an invisible character')} (U+{ord(character):04X})"
