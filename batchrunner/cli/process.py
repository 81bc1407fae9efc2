"""Prepares the process (standard streams, UTF-8 mode if the locale differs), and runs coroutines."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from batchrunner.core.errors import UsageError

T = TypeVar("T")
_UTF8 = ("-X", "utf8=1")
_M_ARENA_MAX = -8
"""A parameter of glibc: see mallopt(3)."""


def open_standard_descriptors() -> None:
    """Open descriptors 0, 1 and 2 on /dev/null if the caller closed them.

    Otherwise the ledger or a socket would get that number, and output would be written to it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number: this one


def restart_in_utf8() -> None:
    """If the locale is not UTF-8, re-execute the same command in Python's UTF-8 mode.

    File names are UTF-8 in every locale: Latin-1 can't encode some names, and a name in GBK would be a
    different file to the next run. Arguments keep their bytes.

    Raises:
        UsageError: the restart failed.
    """
    if sys.getfilesystemencoding() == "utf-8" or sys.flags.utf8_mode or not sys.executable:
        return
    command = [os.fsencode(part) for part in (sys.executable, *_UTF8)] + _arguments()[1:]
    try:
        os.execv(sys.executable, command)  # noqa: S606  our own executable
    except OSError as error:
        raise UsageError(
            f"the locale's encoding is {sys.getfilesystemencoding()}, and Python can't be restarted in UTF-8 "
            f"mode: {error.strerror}",
            "set PYTHONUTF8=1, or choose a UTF-8 locale such as LC_ALL=C.UTF-8",
        ) from error


def _arguments() -> list[bytes]:
    """This process's arguments as the original bytes: decoding and encoding may lose some."""
    try:
        found = Path("/proc/self/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        found = []
    given = [os.fsencode(argument) for argument in sys.orig_argv]
    return found if len(found) == len(given) else given


def share_memory_pool() -> None:
    """Have all threads take memory from one pool. To be called before there are any, if videos are decoded.

    glibc gives each thread a pool of its own, in which decoded videos leave gaps until it has 60 MB or more,
    for each core. One pool takes no more time, as Python lets one thread work at once. Other C libraries
    have no such pools, and some builds of Python no way to ask for it.
    """
    with suppress(ImportError, OSError, AttributeError):
        import ctypes  # noqa: PLC0415

        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, loaded when it is needed: `--help` and most errors don't need it."""
    import asyncio  # noqa: PLC0415

    return asyncio.run(work)
