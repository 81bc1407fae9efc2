"""Copies of a results.csv that somebody else changed: kept beside it, and never overwritten."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from contextlib import suppress
from pathlib import Path


def digest_of(content: bytes) -> str:
    """The SHA-256 by which a results.csv is known again."""
    return hashlib.sha256(content).hexdigest()


def keep_copy(path: Path) -> Path:
    """Copy a file to the first free name of `NAME.bak`, `NAME.bak2` and so on; return the copy's path.

    A copy that is there already, such as one made by a run that was killed just then, is enough.

    Raises:
        OSError: it can't be written; nothing is left of it.
    """
    content = path.read_bytes()
    for number in itertools.count(1):
        copy = path.with_name(f"{path.name}.bak{number if number > 1 else ''}")
        if copy.is_file() and copy.stat().st_size == len(content) and copy.read_bytes() == content:
            return copy
        try:
            file = copy.open("xb")
        except FileExistsError:
            continue
        try:
            with file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                copy.unlink()
            raise
        with suppress(OSError):
            shutil.copystat(path, copy)  # when it was changed is worth knowing
        return copy
    raise AssertionError("counting never ends")
