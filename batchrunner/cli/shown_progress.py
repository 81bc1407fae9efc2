"""Shows on a terminal how far a long step has come."""

from __future__ import annotations

import sys
import time

from batchrunner.cli.console import talk


class ShownProgress:
    """Says how much of a step is done, now and then; nothing if nobody watches."""

    def __init__(self, what: str, every: float, is_quiet: bool = False) -> None:
        """`every` is in seconds; a step that takes less says nothing."""
        self._what, self._every, self._said = what, every, time.monotonic()
        self._is_watched = not is_quiet and _is_terminal()

    def __call__(self, done: int, total: int | None = None) -> None:
        """So much is done, of so much if that is known."""
        if self._is_watched and (now := time.monotonic()) >= self._said + self._every:
            self._said = now
            talk(f"{self._what}: {done:,}" + ("" if total is None else f" of {total:,}"))


def _is_terminal() -> bool:
    """Whether stderr is one: a host of the Python API may have put anything in its place, or nothing."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False
