"""Signs that YAML takes otherwise than a person does: what was probably meant."""

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
    """A wrong sign; `column` counts from 1."""

    message: str
    hint: str
    column: int


def slip_in(line: str) -> Slip | None:
    """What is mistyped at the beginning of a line."""
    if found := _INDENTED.match(line):
        message = f"{named(found['at'])} stands where only blanks may indent"
        return Slip(message, "indent with ordinary blanks", found.start("at") + 1)
    if found := _DASH.match(line):
        message = f"`{found['at']}` does not begin an item of a list"
        return Slip(message, "write `- `, a hyphen and a blank", found.start("at") + 1)
    if found := _DASH_ALONE.match(line):
        return Slip("a blank is missing after the dash", f"write `- {found['key']}:`", found.start("at") + 1)
    if found := _WIDE_COLON.match(line):
        hint = f"write `{found['key']}: `, with an ordinary colon and a blank"
        return Slip("`：` is a full-width colon, which YAML does not know", hint, found.start("at") + 1)
    if found := _ODD_AFTER_COLON.match(line):
        message = f"{named(found['at'])} follows the colon, and YAML wants a blank"
        return Slip(message, f"write `{found['key']}: `, with an ordinary blank", found.start("at") + 1)
    if found := _COLON_ALONE.match(line):
        hint = f"write `{found['key']}: `, with a blank after the colon"
        return Slip("a blank is missing after the colon", hint, found.start("at") + 1)
    return None


def slip_after(line: str, column: int, text: str) -> Slip | None:
    """What is doubtful about a text without quotes that ends before `column` of its line."""
    if _COMMENT.match(line[column - 1 :]):
        message = f"what follows `{text[-30:]}` is a comment, and no part of the text"
        hint = "put the whole text in quotes, or write a blank after the `#` if it is one"
        return Slip(message, hint, line.index("#", column - 1) + 1)
    if _QUOTES.fullmatch(text):
        message = (
            f"the signs {text[0]} {text[-1]} are part of the text, since YAML does not take them as quotes"
        )
        return Slip(message, 'write " instead of both, or put the whole in such quotes', 0)
    return None


def odd_character(text: str) -> str:
    """The first character of a text that is invisible, or a blank to the eye alone; empty without one."""
    found = _ODD.search(text)
    return found.group() if found else ""


def without_odd(text: str) -> str:
    """The text without such characters at its ends."""
    return re.sub(rf"^(?:{_ODD.pattern}|\s)+|(?:{_ODD.pattern}|\s)+$", "", text)


def named(character: str) -> str:
    """What such a character is called."""
    return f"{_NAMES.get(character, 'an invisible character')} (U+{ord(character):04X})"
