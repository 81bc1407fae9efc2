"""Decompresses gzipped rows files, within limits."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, cast

from batchrunner.manifest.source import TextFault, read_bytes

ENDING = ".gz"
_MAGIC = b"\x1f\x8b"
_AGAIN = "copy or create it again"
_CHUNK = 1 << 20
_UNSUSPICIOUS = 16_000_000
"""Bytes that any file may unpack to, however small it is."""
_MOST_RATIO = 200
"""The highest ratio accepted for a table; tables of identical rows reach 100."""


def unpacked(path: Path, max_bytes: int) -> BinaryIO:
    """The content of a gzip file, as a temporary file; concatenated gzip files count as one.

    Raises:
        TextFault: it is damaged, or unpacks to more than `max_bytes`.
        OSError: it can't be read.
    """
    packed = read_bytes(path, max_bytes)
    if not packed.startswith(_MAGIC):
        raise TextFault("the file is not gzip, despite its name", "remove .gz from its name")
    most = min(max_bytes, max(_UNSUSPICIOUS, len(packed) * _MOST_RATIO))
    size = 0
    with ExitStack() as on_error:
        content = on_error.enter_context(tempfile.TemporaryFile())
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
                while part := file.read(_CHUNK):
                    size += content.write(part)
                    if size > most:
                        raise _too_large(most, max_bytes)
        except EOFError as error:
            raise TextFault("the gzip file is damaged: it is truncated", _AGAIN) from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise TextFault("the gzip file is damaged", _AGAIN) from error
        content.seek(0)
        on_error.pop_all()
    return cast("BinaryIO", content)


def _too_large(most: int, max_bytes: int) -> TextFault:
    if most == max_bytes:
        message = f"the file unpacks to more than {max_bytes // 1_000_000} MB"
        return TextFault(message, "split it into several")
    message = f"the file unpacks to more than {_MOST_RATIO} times its size, more than any real table"
    return TextFault(message, "unpack it and check its content")
