"""Natural sort order of file names: 2 before 10, ignoring case, é next to e."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePath

_DIGITS = re.compile(r"(\d+)")


def natural_key(path: str) -> tuple[object, ...]:
    """A unique sort key for paths."""
    whole = PurePath(path)
    names = (*whole.parts[:-1], whole.stem, whole.suffix)
    return (tuple(map(_parts, names)), path)


def _parts(name: str) -> tuple[str | int, ...]:
    """Text at even indexes, and the numbers in between as integers."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return tuple(int(part) if index % 2 else part for index, part in enumerate(_DIGITS.split(plain)))
