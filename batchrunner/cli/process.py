"""The first thing that a command does: open the standard streams, and leave the locale's encoding behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from batchrunner.core.errors import UsageError

_UTF8 = ("-X", "utf8=1")


def open_standard_descriptors() -> None:
    """Open what the caller closed of 0, 1 and 2 on /dev/null.

    Else the ledger or a socket would get that number, and what is printed would go there.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free: this one


def restart_in_utf8() -> None:
    """Where the locale has another encoding, become the same command in Python's UTF-8 mode.

    Names of files are UTF-8 whatever the locale says: a name that Latin-1 has no letters for can't be
    written, and one in GBK is another file for the next run. Arguments keep their bytes.

    Raises:
        UsageError: the restart was refused.
    """
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode or not sys.executable:
        return
    command = [os.fsencode(part) for part in (sys.executable, *_UTF8)] + _arguments()[1:]
    try:
        os.execv(sys.executable, command)  # noqa: S606  ourselves
    except OSError as error:
        raise UsageError(
            f"the locale's encoding is {sys.getfilesystemencoding()}, and Python can't be restarted in UTF-8 "
            f"mode: {error.strerror}",
            "set PYTHONUTF8=1, or choose a UTF-8 locale such as LC_ALL=C.UTF-8",
        ) from error


def _arguments() -> list[bytes]:
    """The arguments of this process as the bytes that they came in: decoding and encoding may lose some."""
    try:
        found = Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        found = []
    given = [os.fsencode(argument) for argument in sys.orig_argv]
    return found if len(found) == len(given) else given
