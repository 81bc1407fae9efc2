"""The errors that end a command, sorted by who must act; each class carries its exit code.

BatchrunnerError
├── UsageError            2   the command line, the manifest or the run directory is wrong
│   └── ManifestError     2   the manifest has problems; all of them are listed
├── AccountError          4   the key, its permission or its balance
├── StorageError          5   disk or file permission
├── BusyError            75   another run holds the run directory
└── ShutdownError        75   the Python program that started the run is ending
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.core.problems import Problem


class ExitCode(IntEnum):
    """The exit codes of the process; a test compares the README's table with them."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    IN_DOUBT = 3
    ACCOUNT = 4
    STORAGE = 5
    UNFINISHED = 75
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


_URGENCY = (
    *(ExitCode.INTERRUPTED, ExitCode.TERMINATED, ExitCode.HANGUP, ExitCode.STORAGE, ExitCode.USAGE),
    *(ExitCode.ACCOUNT, ExitCode.IN_DOUBT, ExitCode.UNFINISHED, ExitCode.FAILED, ExitCode.DONE),
)


def most_urgent(codes: Iterable[int]) -> int:
    """The exit code of a command that did several things, each of which has one of `codes`."""
    return int(min(map(ExitCode, codes), key=_URGENCY.index, default=ExitCode.DONE))


class BatchrunnerError(Exception):
    """Ends the command. The message says what is wrong, `hint` what to do next."""

    exit_code: ClassVar[ExitCode]

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(BatchrunnerError):
    """The command line, the manifest or the run directory is wrong; nothing was sent."""

    exit_code = ExitCode.USAGE


class ManifestError(UsageError):
    """The manifest (or another file) can't be used; `problems` lists every reason, errors first."""

    def __init__(
        self, problems: tuple[Problem, ...], file: str = "manifest", unharmed: str = "nothing was sent"
    ) -> None:
        super().__init__(f"{count(len(problems), 'problem')} in the {file}")
        self.problems = problems
        self.unharmed = unharmed
        """What didn't happen because of them."""


class AccountError(BatchrunnerError):
    """The key is missing, refused, or lacks a permission."""

    exit_code = ExitCode.ACCOUNT


class StorageError(BatchrunnerError):
    """A file could not be written: disk full, no permission, or the disk failed."""

    exit_code = ExitCode.STORAGE


class BusyError(BatchrunnerError):
    """Another process is using the run directory."""

    exit_code = ExitCode.UNFINISHED


class ShutdownError(BatchrunnerError):
    """The program's main thread has ended while another thread runs a manifest."""

    exit_code = ExitCode.UNFINISHED

    def __init__(self) -> None:
        super().__init__(
            "the program is ending, and Python starts no more threads, which a run needs",
            "let the main thread wait, with join(), for the thread that calls `run`; the same call resumes",
        )


def is_shutdown(error: Exception) -> bool:
    """Whether this is how Python refuses a thread when the program is ending."""
    return isinstance(error, RuntimeError) and "shutdown" in str(error)
