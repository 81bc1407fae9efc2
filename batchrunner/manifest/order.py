"""The order in which people expect files: 2 before 10, whatever the case, é beside e."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

_DIGITS = re.compile(r"(\d+)")


def natural_key(path: str) -> tuple[object, ...]:
    """What to sort paths by; equal for no two of them."""
    whole = PurePath(path)
    names = (*whole.parts[:-1], whole.stem, whole.suffix)
    return (tuple(map(_parts, names)), path)


def _parts(name: str) -> tuple[str | int, ...]:
    """Texts at even places, and the numbers between them as numbers."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return tuple(int(part) if index % 2 else part for index, part in enumerate(_DIGITS.split(plain)))
