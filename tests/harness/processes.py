"""What every test process shares: its environment, how it is waited for, and what a process can do."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

PATIENCE = 60.0
"""Seconds of real time that a test waits for anything before it fails."""


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Poll `condition` until it is true; return its value, or fail naming `what` was waited for."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, f"timed out waiting for {what}"
        time.sleep(0.005)
    return value


def clean_environment(home: Path, **extra: str) -> dict[str, str]:
    """The environment of a fresh login: no key, address or proxy of whoever runs the tests.

    PYTHONPATH is kept, after the one that a test gives: the program under test may be found through it.
    """
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "PYTHONPATH") if name in os.environ}
    if "PYTHONPATH" in extra and "PYTHONPATH" in kept:
        extra["PYTHONPATH"] += os.pathsep + kept["PYTHONPATH"]
    return kept | {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"} | extra


class Process(Protocol):
    """The part of `subprocess.Popen` that the tests use."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...
