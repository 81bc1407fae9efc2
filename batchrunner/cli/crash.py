"""What nobody foresaw: what the environment does gets its words, a bug gets a file for its traceback."""

from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path

from batchrunner.core.errors import BatchrunnerError, ExitCode, StorageError


class UnexpectedError(BatchrunnerError):
    """A bug of ours."""

    exit_code = ExitCode.FAILED


def explained(error: Exception) -> BatchrunnerError:
    """Our error for one that nobody caught."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, BatchrunnerError):
        return error
    if isinstance(error, OSError):
        return StorageError(_os_words(error), "fix that, then run the same command again")
    if isinstance(error, _sqlite_errors()):
        return StorageError(f"SQLite says: {error}", "check the disk, its free space and permissions")
    return UnexpectedError(
        f"unexpected error: {type(error).__name__}: {error}",
        f"this is a bug; please report it with {_kept(error)}. The same command goes on where this one ended",
    )


def _os_words(error: OSError) -> str:
    words = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {words}" if error.filename else words


def _sqlite_errors() -> tuple[type[Exception], ...]:
    """Known only where SQLite was loaded: most commands that fail early don't need it."""
    module = sys.modules.get("sqlite3")
    return (module.Error,) if module else ()


def _kept(error: Exception) -> str:
    """Write the traceback to a file that only this user can read; return its path, or what to say without."""
    from batchrunner.core.redaction import redacted  # noqa: PLC0415

    text = redacted("".join(traceback.format_exception(error)))
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            encoding="utf-8",
            errors="backslashreplace",
            prefix="batchrunner-",
            suffix=".txt",
            delete=False,
        ) as file:
            file.write(text)
        return f"the traceback in {Path(file.name)}"
    except OSError:
        print(text, file=sys.stderr)  # noqa: T201  better there than nowhere
        return "the traceback above"
