"""Converts plain YAML scalars to values."""

from __future__ import annotations

import math
import re

from batchrunner.manifest.nodes import Scalar

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Python refuses to parse much longer numbers, and nobody needs them.
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_OTHER_BASE = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


def resolved(text: str) -> Scalar:
    """Convert a plain scalar by YAML 1.2's core schema.

    `.inf` and `.nan` stay text, since JSON has no such numbers.
    """
    if text[:1] in "-+.0123456789" and text:
        if _INT.fullmatch(text):
            return int(text)
        if _OTHER_BASE.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        return text
    return _WORDS.get(text, text)
