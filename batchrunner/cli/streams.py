"""stdout and stderr that never raise, whoever has gone or whatever disk is full."""

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
"""Exit codes that a lost stdout does not replace."""


class Unbreakable(io.FileIO):
    """A descriptor to write to; what can't be written is dropped, and the first reason is kept."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._is_terminal = os.isatty(descriptor)
        self.error: OSError | None = None

    def write(self, data: ReadableBuffer) -> int:
        """Write some of `data`; wait where the descriptor doesn't, as one that another program left so."""
        try:
            while (written := super().write(data)) is None:
                select.select((), (self,), ())
        except OSError as error:
            self.error = self.error or error
            return memoryview(data).nbytes
        return written

    @property
    def reader_gone(self) -> bool:
        """Whether nobody reads it any more: a closed pipe, a terminal that has vanished."""
        return self.error is not None and (self._is_terminal or self.error.errno in _READER_GONE)


def install() -> None:
    """Put unbreakable streams in the places of stdout and stderr, which keep their encodings.

    A character that the encoding lacks is shown as its escape.
    """
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  as long as we live
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
    """Why what was written to stdout did not arrive; None where it did, or where nobody wants it any more."""
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    return raw.error if raw and not raw.reader_gone else None


def stdout_reader_gone() -> bool:
    """Whether nobody reads stdout any more."""
    raw = _raw(sys.stdout)
    return raw is not None and raw.reader_gone


def shows_any_character() -> bool:
    """Whether stdout has an encoding for every character."""
    return (sys.stdout.encoding or "").lower().replace("_", "-") in ("utf-8", "utf8")


def exit_code(code: int) -> int:
    """The exit code of a command that ended with `code`: 5 where its output was lost and `code` says less."""
    error = stdout_lost()
    if error is None:
        return code
    print(f"batchrunner: can't write to stdout: {error.strerror}", file=sys.stderr)  # noqa: T201
    return code if code in _SAYS_MORE else ExitCode.STORAGE


def _raw(stream: object) -> Unbreakable | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, Unbreakable) else None
