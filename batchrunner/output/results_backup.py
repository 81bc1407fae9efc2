"""Keeps backups of files that somebody else has edited or written; backups are never overwritten."""

from __future__ import annotations

import itertools
import os
import shutil
from contextlib import suppress
from pathlib import Path


def keep_copy(path: Path) -> Path:
    """Copy a file to the first free name among `NAME.bak`, `NAME.bak2`, …; return the copy's path.

    An identical copy that already exists, such as one made by a killed run, is reused.

    Raises:
        OSError: the copy can't be written; no partial copy is left.
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
            shutil.copystat(path, copy)  # keep the time of the edit
        return copy
    raise AssertionError("counting never ends")
