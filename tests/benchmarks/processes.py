"""Programs measured from outside: wall and CPU time, and the most memory that they held."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MB = 1 << 20
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """What a program needed, from its start to its end."""

    wall: float
    cpu: float
    """Seconds of all its threads."""
    memory: float
    """The most that was resident, in MB."""
    out: str
    """What it printed to stdout."""


class Process:
    """A program that was started, with its output in a file."""

    def __init__(self, command: Sequence[str], output: Path, environment: Mapping[str, str]) -> None:
        self._command, self._out, self._err = command, output, output.with_suffix(".err")
        self._began = time.perf_counter()
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment
            )

    @property
    def out(self) -> str:
        """What it has printed to stdout so far."""
        return self._out.read_text(encoding="utf-8")

    @property
    def said(self) -> str:
        """What it has printed so far, anywhere."""
        return self.out + self._err.read_text(encoding="utf-8")

    @property
    def age(self) -> float:
        """Seconds since its start."""
        return time.perf_counter() - self._began

    def send(self, number: int) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def cpu(self) -> float:
        """The seconds of CPU time that it has used so far."""
        after_name = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        user, system = after_name.split()[11:13]
        return (int(user) + int(system)) / _TICKS

    def memory(self) -> float:
        """The most that was resident so far, in MB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024

    def ended(self, *codes: int) -> Used:
        """Wait for its end, which must have one of these exit codes; by default 0.

        Raises:
            RuntimeError: it ended with another one.
        """
        _, status, usage = os.wait4(self._process.pid, 0)
        wall = self.age
        self._process.returncode = os.waitstatus_to_exitcode(status)
        if self._process.returncode not in (codes or (0,)):
            raise RuntimeError(f"{self._command} ended with {self._process.returncode}: {self.said}")
        return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, self.out)

    def waits_for(self, condition: Callable[[], bool], interval: float = 0.02) -> None:
        """Wait until a condition is true while it runs.

        Raises:
            RuntimeError: it ended before.
        """
        while not condition():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self._command} ended too early: {self.said}")
            time.sleep(interval)

    def stop(self) -> None:
        """Kill it, if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def cpu_of_all() -> float:
    """The seconds of CPU time of all programs that this one has started, with theirs, as long as they run."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            after_name = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            pid, parent = int(process.name), int(after_name[1])
            children.setdefault(parent, []).append(pid)
            # With the time of the children that it has waited for.
            used[pid] = sum(map(int, after_name[11:15])) / _TICKS
    found, ours = [os.getpid()], 0.0
    while found:
        below = children.get(found.pop(), [])
        ours += sum(used[pid] for pid in below)
        found += below
    return ours


def interleaved(times: int, *measured: Callable[[], Used]) -> list[Used]:
    """Take each in turn, and all of them so many times; the best of each, as the machine is shared."""
    taken = [[one() for one in measured] for _ in range(times)]
    return [best(runs) for runs in zip(*taken, strict=True)]


def best(runs: Sequence[Used]) -> Used:
    """The shortest times and the most memory of several runs."""
    return Used(
        min(run.wall for run in runs),
        min(run.cpu for run in runs),
        max(run.memory for run in runs),
        runs[-1].out,
    )
