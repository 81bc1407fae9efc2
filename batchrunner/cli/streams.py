"""stdout and stderr that never raise, even if the reader is gone or the disk is full."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING

from batchrunner.core.errors import ExitCode

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_READER_GONE = frozenset({errno.EPIPE, errno.ECONNRESET})
_SAYS_MORE = frozenset({ExitCode.USAGE, *(code for code in ExitCode if code > 128)})
"""Exit codes that take precedence over lost output."""


class Unbreakable(io.FileIO):
    """A descriptor that drops what can't be written and keeps the first error."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_terminal = os.isatty(descriptor)
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        """Write some of `data`; wait if another program has set the descriptor to non-blocking."""
        try:
            while (written := super().write(data)) is None:
                select.select((), (self,), ())
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes
        return written

    @property
    def reader_gone(self) -> bool:
        """Whether the reader is gone: a closed pipe or terminal."""
        return self.error is not None and (self._is_terminal or self.error.errno in _READER_GONE)


def install() -> None:
    """Replace stdout and stderr with unbreakable streams in the same encodings.

    A character missing from the encoding is written as an escape.
    """
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  open until exit
    sys.stdout = _unbreakable(sys.stdout, 1)
    sys.stderr = _unbreakable(sys.stderr, 2)


def _unbreakable(stream: io.TextIOBase | object, descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(Unbreakable(descriptor)),
        encoding=getattr(stream, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=True,
    )


def stdout_lost() -> OSError | None:
    """The error that lost output to stdout; None if nothing was lost or the reader is gone."""
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    return raw.error if raw and not raw.reader_gone else None


def stdout_reader_gone() -> bool:
    """Whether stdout's reader is gone."""
    raw = _raw(sys.stdout)
    return raw is not None and raw.reader_gone


def shows_any_character() -> bool:
    """Whether stdout can encode every character."""
    return (sys.stdout.encoding or "").lower().replace("_", "-") in ("utf-8", "utf8")


def exit_code(code: int) -> int:
    """The exit code of a command that ended with `code`: 5 if output was lost, unless `code` matters more."""
    error = stdout_lost()
    if error is None:
        return code
    print(f"batchrunner: can't write to stdout: {error.strerror}", file=sys.stderr)  # noqa: T201
    return code if code in _SAYS_MORE else ExitCode.STORAGE


def _raw(stream: object) -> Unbreakable | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Unbreakable) else None
