"""run.log and its older parts: rotated, compressed, and read as the one file that they were.

The log is evidence of what was paid for, to an older copy of the ledger too, so no part is ever deleted or
changed. `run.log.1` is the oldest. A part is renamed, then compressed; if both forms are there, the
compression was interrupted, and the uncompressed one counts.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from batchrunner.core.errors import StorageError
from batchrunner.storage.files import keep_small

ROTATED_AT = 16_000_000
"""Bytes of run.log after which the next run starts another one: about 50,000 events."""
_LARGEST = 1 << 32
"""A compressed file records its content's length modulo this."""
_COMPRESSED = ".gz"
_UNREADABLE = (OSError, EOFError, zlib.error)


def rotate(log: Path, above: int = ROTATED_AT) -> None:
    """Start another log if this one is large; only for the process that holds the run's lock."""
    older = _older(log)
    with suppress(OSError):
        if log.is_file() and not log.is_symlink() and log.stat().st_size > above:
            number = max(older, default=0) + 1
            older[number] = log.rename(log.with_name(f"{log.name}.{number}"))
    for path in older.values():
        if path.suffix != _COMPRESSED:
            # Without room on the disk, it stays as it is until the next run.
            with suppress(OSError, StorageError):
                _compress(path)


def parts(log: Path) -> list[Path]:
    """The log and its older parts, oldest first, as far as they exist."""
    older = _older(log)
    return [*(older[number] for number in sorted(older)), *([log] if log.exists() else [])]


def size(log: Path) -> int:
    """Bytes of all parts together, uncompressed."""
    return sum(map(_size, parts(log)))


def lines(log: Path, start: int = 0) -> Iterator[bytes]:
    """The lines of all parts, from a byte on; what can't be read is skipped."""
    for path in parts(log):
        try:
            length = _size(path)
            if start < length:
                with _opened(path) as file:
                    file.seek(start)
                    yield from file
            start = max(0, start - length)
        except _UNREADABLE:
            start = 0  # rather too much than too little


def read(log: Path, start: int, length: int) -> bytes:
    """So many bytes of all parts together, from a byte on; fewer at the end.

    Raises:
        OSError: a part can't be read.
    """
    found = b""
    for path in parts(log):
        part = _size(path)
        if start < part and len(found) < length:
            try:
                with _opened(path) as file:
                    file.seek(start)
                    found += file.read(length - len(found))
            except (EOFError, zlib.error) as error:
                raise OSError(f"{path} is damaged") from error
        start = max(0, start - part)
    return found


def _older(log: Path) -> dict[int, Path]:
    """The older parts by number."""
    form = re.compile(rf"{re.escape(log.name)}\.([0-9]{{1,9}})({re.escape(_COMPRESSED)})?")
    found: dict[int, Path] = {}
    with suppress(OSError):
        for path in log.parent.iterdir():
            if match := form.fullmatch(path.name):
                number = int(match[1])
                if number not in found or not match[2]:
                    found[number] = path
    return found


def _compress(path: Path) -> None:
    if path.stat().st_size >= _LARGEST:
        return
    packed = io.BytesIO()
    with path.open("rb") as file, gzip.GzipFile("", "wb", 3, packed, mtime=0) as target:
        shutil.copyfileobj(file, target)
    keep_small(path.with_name(path.name + _COMPRESSED), packed.getvalue())
    path.unlink()


def _size(path: Path) -> int:
    if path.suffix != _COMPRESSED:
        return path.stat().st_size
    with path.open("rb") as file:
        file.seek(-4, io.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def _opened(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == _COMPRESSED else path.open("rb")
