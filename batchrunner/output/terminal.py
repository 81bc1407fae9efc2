"""Outlives a terminal: closing its window, or losing its connection, sends SIGHUP, which ends a process."""

from __future__ import annotations

import os
import signal
from types import FrameType


def terminal_is_gone() -> bool:
    """Whether this process has no controlling terminal; if it had one, that was closed or disconnected."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return True
    return False


def outlive_terminal() -> None:
    """A SIGHUP because the terminal is gone changes nothing from now on; any other ends the process."""
    if terminal_is_gone() or signal.getsignal(signal.SIGHUP) is not signal.SIG_DFL:
        return  # there is none, or `nohup` has seen to it

    def heard(number: int, frame: FrameType | None) -> None:
        if not terminal_is_gone():
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    signal.signal(signal.SIGHUP, heard)
