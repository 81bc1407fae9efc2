"""`batchrunner` commands as real processes: what they print and log, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.fork_server import ForkServer
from tests.harness.processes import PATIENCE, Process, until
from tests.harness.run_directory import log_lines

CRASHES = ("Traceback", "unexpected error", "never retrieved")
"""What a command must never print to stderr."""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        """Everything it has printed."""
        return self.stdout + self.stderr

    @property
    def json(self) -> Any:
        """Its stdout, which must be JSON and nothing else."""
        return json.loads(self.stdout)

    @property
    def crash(self) -> str:
        """What it printed of a crash, to the end of stderr; empty if it did not crash."""
        return next((self.stderr[self.stderr.index(mark) :] for mark in CRASHES if mark in self.stderr), "")


class Command:
    """A command that has been started in a folder, forked if a fork server is given and else executed.

    `log` is the run.log that it writes to, `prefix` stands before the command (such as strace), and `secret`
    must not show in its arguments. Unless it `may_crash`, waiting for its end asserts that it did not.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        log: Path,
        secret: str,
        prefix: Sequence[str] = (),
        fork_server: ForkServer | None = None,
        may_crash: bool = False,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        printed = folder / "printed"
        printed.mkdir(exist_ok=True)
        name = f"{len(list(printed.iterdir())) // 2:04}"
        self._out, self._err = printed / f"{name}.out", printed / f"{name}.err"
        self._out.touch()  # it may be killed before it has opened them
        self._err.touch()
        self._log, self._logged_before = log, len(log_lines(log))
        self._began, self._may_crash, self._note = time.monotonic(), may_crash, note
        self._secret = "" if any(secret in argument for argument in arguments) else secret
        self.process: Process
        if fork_server:
            files = {"stdin": Path(os.devnull), "stdout": self._out, "stderr": self._err}
            self.process = fork_server.start(arguments, folder, environment, **files)
            return
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "batchrunner", *arguments],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def stdout(self) -> str:
        """What it has printed to stdout so far."""
        return self._out.read_text(encoding="utf-8")

    @property
    def stderr(self) -> str:
        """What it has printed to stderr so far."""
        return self._err.read_text(encoding="utf-8")

    def events(self, *names: str) -> list[dict[str, Any]]:
        """The events that it has added to run.log so far: all, or those of these names."""
        new = log_lines(self._log)[self._logged_before :]
        return [line for line in new if "event" in line and (not names or line["event"] in names)]

    def reached(self, count: int, *names: str) -> Command:
        """Wait until so many events of these names have happened."""

        def there() -> bool:
            running = self.process.poll() is None
            return len(self.events(*names)) >= count or not running

        until(there, f"{count} of {names or 'any event'}")
        assert len(self.events(*names)) >= count, f"it ended before {count} of {names}: {self.stderr}"
        return self

    def send(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self) -> None:
        """Suspend it with SIGSTOP, and wait until none of its threads runs any more."""
        self.send(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")

        def stopped() -> bool:
            # The state follows the name, which is in parentheses.
            states = [one.read_text().rpartition(")")[2].split()[0] for one in threads.glob("*/stat")]
            return set(states) <= {"T", "t"}

        until(stopped, f"process {self.process.pid} to stop")

    def ended(self) -> Ended:
        """Wait for its end."""
        self._check_arguments()
        try:
            code = self.process.wait(PATIENCE)
        except (subprocess.TimeoutExpired, AssertionError):
            self.process.kill()
            raise
        ended = Ended(code, self.stdout, self.stderr, time.monotonic() - self._began)
        self._note(f"exit {code}")
        assert self._may_crash or not ended.crash, ended.stderr
        return ended

    def killed(self) -> Ended:
        """Send SIGKILL and wait for its end."""
        self.process.kill()
        return self.ended()

    def clear_away(self) -> None:
        """Kill it if a failed test has left it running."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)

    def _check_arguments(self) -> None:
        """Everyone on the machine can read them: the key must not be there."""
        with suppress(OSError):
            shown = Path(f"/proc/{self.process.pid}/cmdline").read_bytes()
            assert not self._secret or self._secret.encode() not in shown, f"the key is in {shown!r}"
