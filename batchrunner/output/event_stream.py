"""`run --events FILE`: what happens in a run as JSON lines for other programs."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import Protocol

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.file_names import (
    LEDGER_NAME,
    LIMITS_NAME,
    LOCK_NAME,
    LOG_NAME,
    RESULTS_NAME,
    RUN_ID_NAME,
)
from batchrunner.core.text import iso

_encoded = json.JSONEncoder(ensure_ascii=False, default=str).encode
_OWN = (LEDGER_NAME, RESULTS_NAME, LOG_NAME, LOCK_NAME, LIMITS_NAME, RUN_ID_NAME)
_HINT = "choose another file: nothing is overwritten"


class EventSink(Protocol):
    """What gets the events of a run."""

    def write(self, kind: str, at: float, values: Mapping[str, object]) -> None:
        """Take an event; `at` in Unix seconds."""


class EventStream:
    """A file, or a pipe with a reader, to which one line per event is appended. It never holds up the run."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            UsageError: it contains something else, or is a pipe that nobody reads.
            StorageError: it can't be written to.
        """
        _check(path)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            self._fd = os.open(path, flags, 0o666)
        except OSError as error:
            raise StorageError(f"can't write {path}: {error.strerror}") from error
        self._rest = b""
        """What a slow reader has not taken yet of a line."""
        self._lost = 0
        self.fault = ""
        """Why no further lines are written; empty if all are."""

    def write(self, kind: str, at: float, values: Mapping[str, object]) -> None:
        """Append a line; `at` in Unix seconds."""
        stamp = iso(at)
        if self._lost and self._flushed():
            notice = f"{self._lost} lines are missing: the reader was too slow"
            self._lost = 0
            self._append({"type": "notice", "at": stamp, "notice": notice})
        self._append({"type": kind, "at": stamp, **values})

    def ended(self, values: Mapping[str, object]) -> None:
        """Append the last line: the summary, or the error that ended the command."""
        self.write("ended", time(), {"exit_code": values["exit_code"], "summary": values})
        self._flushed()
        if self._rest or self._lost:
            self.fault = self.fault or "the reader was too slow"
        with suppress(OSError):
            os.close(self._fd)

    def _append(self, line: Mapping[str, object]) -> None:
        if self._flushed():
            self._rest = (_encoded(line) + "\n").encode("utf-8", "replace")
            self._flushed()
        else:
            self._lost += 1

    def _flushed(self) -> bool:
        """Write what is left of the last line; return whether all of it is written."""
        try:
            while self._rest and not self.fault:
                self._rest = self._rest[os.write(self._fd, self._rest) :]
        except BlockingIOError:
            pass
        except OSError as error:  # a full disk, or a reader that is gone: the run goes on
            self.fault = error.strerror or str(error)
        return not self._rest


class RunEvents:
    """The events of one run among several in the same stream: each line names its run directory."""

    def __init__(self, stream: EventStream, directory: Path) -> None:
        self._stream, self._directory = stream, str(directory)

    def write(self, kind: str, at: float, values: Mapping[str, object]) -> None:
        """Append a line; `at` in Unix seconds."""
        self._stream.write(kind, at, {"directory": self._directory, **values})


def _check(path: Path) -> None:
    """Refuse a file that has other content, or will have: this may be the ledger."""
    if path.name.startswith(_OWN):
        raise UsageError(f"{path} has the name of a file of a run directory", _HINT)
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # there is none, or opening it says why not
    if stat.S_ISFIFO(mode):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            raise UsageError(f"nobody reads the pipe {path}", "start its reader first") from error
    if not stat.S_ISREG(mode):
        return
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16)
        if first and not (isinstance(line := json.loads(first), dict) and {"type", "at"} <= line.keys()):
            raise UsageError(f"{path} exists, and is no file of events", _HINT)
    except ValueError as error:
        raise UsageError(f"{path} exists, and is no file of events", _HINT) from error
    except OSError as error:
        raise StorageError(f"can't read {path}: {error.strerror}") from error
