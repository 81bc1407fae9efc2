"""Real processes for the tests: how they are started, awaited, and what they find in their environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

PATIENCE = 60.0
"""Real seconds that anything is awaited before a test gives it up."""


def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Look again and again until `condition` holds; return what it gave."""
    end = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)
    return value


def clean_environment(home: Path, **extra: str) -> dict[str, str]:
    """What a fresh login has: no key, no address, no proxy of whoever runs the tests.

    PYTHONPATH is kept, behind one that a test gives: the program under test may be found by it.
    """
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "PYTHONPATH") if name in os.environ}
    if "PYTHONPATH" in extra and "PYTHONPATH" in kept:
        extra["PYTHONPATH"] += os.pathsep + kept["PYTHONPATH"]
    return kept | {"HOME": str(home), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"} | extra


class Process(Protocol):
    """What the tests want of a process."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def send_signal(self, number: int) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A process from the nursery, which is not this process's own child."""

    def __init__(self, pid: int, code: Path) -> None:
        self.pid, self._code = pid, code

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return int(self._code.read_text()) if self._code.exists() else None

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit code, once it has ended."""
        until(lambda: self.poll() is not None, f"the end of {self.pid}", timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """Where the simulators and most commands of a session come from; see forking.py."""

    def __init__(self, home: Path, pictures: Path) -> None:
        self.pictures = pictures
        """The encoded videos that all simulators share."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        self._codes = home / "codes"
        self._codes.mkdir()
        self._started = 0
        self._turn = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forking.py"))],
            env=clean_environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def start(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], **files: Path
    ) -> Forked:
        """Start `batchrunner` with these arguments; `files` are its stdin, stdout and stderr."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}
        order |= {name: str(path) for name, path in files.items()}
        with self._turn:
            self._started += 1
            code = self._codes / str(self._started)
            self._process.stdin.write(json.dumps(order | {"code": str(code)}) + "\n")
            self._process.stdin.flush()
            return Forked(int(self._process.stdout.readline()), code)

    def close(self) -> None:
        """End it."""
        self._process.communicate()
