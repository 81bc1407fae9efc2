"""Turns unexpected exceptions into errors: OS errors keep their message, bugs get a traceback file."""

from __future__ import annotations

import sys
from pathlib import Path

from batchrunner.core.errors import BatchrunnerError, ExitCode, ShutdownError, StorageError, is_shutdown


class UnexpectedError(BatchrunnerError):
    """A bug in batchrunner."""

    exit_code = ExitCode.FAILED


def explained(error: Exception) -> BatchrunnerError:
    """The error to show for an uncaught exception."""
    if told := foreseen(error):
        return told
    error = _first(error)
    return UnexpectedError(
        f"unexpected error: {type(error).__name__}: {error}",
        f"this is a bug; please report it with {_kept(error)}. Run the same command again to resume",
    )


def foreseen(error: Exception) -> BatchrunnerError | None:
    """The error to show for an exception of ours, of the system or of SQLite; None for a bug."""
    error = _first(error)
    if isinstance(error, BatchrunnerError):
        return error
    if isinstance(error, OSError):
        return StorageError(_os_words(error), "fix it, then run the same command again")
    if is_shutdown(error):
        return ShutdownError()
    if isinstance(error, _sqlite_errors()):
        return StorageError(f"SQLite error: {error}", "check the disk: free space and permissions")
    return None


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def _os_words(error: OSError) -> str:
    words = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {words}" if error.filename else words


def _sqlite_errors() -> tuple[type[Exception], ...]:
    """SQLite's exception class, if SQLite was loaded: most commands that fail early don't need it."""
    module = sys.modules.get("sqlite3")
    return (module.Error,) if module else ()


def _kept(error: Exception) -> str:
    """Write the traceback to a file only this user can read; return a phrase that says where it is."""
    import tempfile  # noqa: PLC0415
    import traceback  # noqa: PLC0415

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
        print(text, file=sys.stderr)  # noqa: T201  better on stderr than lost
        return "the traceback above"
