"""Starts `batchrunner` processes by forking a process that has imported it, which saves most of the time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.harness.processes import PATIENCE, clean_environment, until


class ForkedProcess:
    """A process that the fork server started: not a child of this process, so its exit code is in a file."""

    def __init__(self, pid: int, code: Path) -> None:
        self.pid, self._code = pid, code

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        return int(self._code.read_text()) if self._code.exists() else None

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its end; return its exit code."""
        until(lambda: self.poll() is not None, f"the end of process {self.pid}", timeout)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class ForkServer:
    """Runs fork_server_main.py for a whole session; simulators and most commands are forked from it."""

    def __init__(self, home: Path, pictures: Path) -> None:
        self.pictures = pictures
        """The encoded videos, which all simulators share."""
        self.pictures.mkdir(parents=True, exist_ok=True)
        self._codes = home / "codes"
        self._codes.mkdir()
        self._started = 0
        self._lock = threading.Lock()
        # Shells in the background and nohup let signals be ignored, and commands would inherit that.
        for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, usual)
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("fork_server_main.py"))],
            env=clean_environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def start(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], **files: Path
    ) -> ForkedProcess:
        """Start `batchrunner` with these arguments; `files` are its stdin, stdout and stderr."""
        assert self._process.stdin
        assert self._process.stdout
        order = {"arguments": arguments, "cwd": str(cwd), "environment": dict(environment)}
        order |= {name: str(path) for name, path in files.items()}
        with self._lock:
            self._started += 1
            code = self._codes / str(self._started)
            self._process.stdin.write(json.dumps(order | {"code": str(code)}) + "\n")
            self._process.stdin.flush()
            return ForkedProcess(int(self._process.stdout.readline()), code)

    def close(self) -> None:
        """Stop the server."""
        self._process.communicate()
