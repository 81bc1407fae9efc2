"""Commands on a terminal of their own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path


def on_terminal(
    arguments: list[str],
    folder: Path,
    environment: Mapping[str, str],
    columns: int = 80,
    when: str = "",
    then: Callable[[], str] = lambda: "",
) -> tuple[int, str]:
    """Run `batchrunner` with these arguments on a terminal; return its exit code and what was shown.

    Once `when` is shown, `then` is called, and what it returns is typed.
    """
    child, master = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve(sys.executable, [sys.executable, "-m", "batchrunner", *arguments], dict(environment))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    shown, is_typed = b"", not when
    while True:
        try:
            heard = os.read(master, 4096)
        except OSError:  # the other side is gone
            break
        if not heard:
            break
        shown += heard
        if not is_typed and when.encode() in shown:
            os.write(master, then().encode())
            is_typed = True
    os.close(master)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()
