"""`run --on-end COMMAND`: starts the user's command once with the summary."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LIMIT = 60.0
"""Seconds until the command is stopped."""
GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""


def start_on_end(command: str, summary: bytes, environment: Mapping[str, str], folder: Path) -> str:
    """Run a shell command with the summary on its stdin; return what went wrong, or an empty text.

    Its output goes to this process's stderr: stdout is for the summary.
    """
    try:
        process = subprocess.Popen(  # noqa: S603  the user's own command
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=2,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,  # it is stopped with all that it started, and outlives the terminal
        )
    except (OSError, ValueError) as error:
        return f"it can't be started: {getattr(error, 'strerror', None) or error}"
    try:
        process.communicate(summary, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        _stop(process)
        return f"it was stopped after {LIMIT:.0f} s"
    except KeyboardInterrupt:
        _stop(process)
        return "it was interrupted"
    except OSError as error:
        return f"it can't be given the summary: {error.strerror}"
    code = process.returncode
    return "" if code == 0 else f"signal {-code} ended it" if code < 0 else f"it exited with {code}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop it and all that it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    if process.stdin:
        with suppress(OSError):  # what it has not read is lost
            process.stdin.close()
