"""strace around the real command: holds it at one system call while it is killed, or makes one fail.

strace counts calls by thread, so that `when=N` is the Nth of every thread. A kill holds each of them for a
moment and looks which one touches the files or sockets that are meant.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.commands import Ended
from tests.harness.processes import PATIENCE
from tests.torture.case_folder import CaseFolder

HOLD = 150_000
"""Microseconds that a call is held while it is looked at, and the process is killed."""
_LINE = re.compile(rb"^(\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\()(?P<rest>.*)", re.DOTALL)
_INJECTED = "(INJECTED)"


def unavailable() -> str:
    """Why strace can't be used here; empty where it can."""
    if not shutil.which("strace"):
        return "strace is not installed"
    probe = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-e",
        "trace=?rename",
        "-e",
        "inject=?rename:delay_exit=1:when=1",
    ]
    done = subprocess.run([*probe, sys.executable, "-c", ""], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"strace can't trace here: {done.stderr.strip()[-200:]}"


@dataclass(frozen=True)
class Call:
    """One system call as strace shows it."""

    name: str
    thread: int
    number: int
    """The how manyth call of this name in its thread."""
    text: str
    """Its arguments, and when it has returned its result."""
    returned: bool


class Trace:
    """Calls as they enter and return, from what strace writes into a pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._counts: Counter[tuple[int, str]] = Counter()
        self._entered: dict[int, tuple[str, str]] = {}
        self.process = 0
        """The traced process: the thread of the first line."""

    def calls(self) -> Iterator[Call]:
        """Every call twice, when it enters and when it has returned, until the end."""
        tail, shown = b"", False
        while chunk := os.read(self._fd, 1 << 16):
            *lines, last = (tail + chunk).split(b"\n")
            for line in lines:
                yield from self._line(line, shown)
                shown = False
            tail = last
            if tail and not shown:
                # A held call has entered and not returned: its line has no end yet.
                yield from self._entry(tail)
                shown = True

    def _line(self, line: bytes, shown: bool) -> Iterator[Call]:
        if not shown:
            yield from self._entry(line)
        found = _LINE.match(line)
        if not found or line.endswith(b"<unfinished ...>"):
            return
        thread = int(found[1])
        if entered := self._entered.pop(thread, None):
            name, arguments = entered
            rest = found["rest"].decode(errors="replace")
            text = f"{arguments} {rest}" if found["resumed"] else rest
            yield Call(name, thread, self._counts[thread, name], text, returned=True)

    def _entry(self, line: bytes) -> Iterator[Call]:
        found = _LINE.match(line)
        if not found or not found["name"]:
            return
        thread, name = int(found[1]), found["name"].decode()
        self.process = self.process or thread
        self._counts[thread, name] += 1
        arguments = found["rest"].decode(errors="replace").removesuffix("<unfinished ...>")
        self._entered[thread] = (name, arguments)
        yield Call(name, thread, self._counts[thread, name], arguments, returned=False)


@dataclass(frozen=True)
class Moment:
    """Before or after one system call: the `rank`th of the threads' `number`th calls that touch `target`."""

    call: str
    target: str
    """A regular expression over the call's arguments."""
    number: int
    """0: all calls are held, and `rank` counts through them."""
    rank: int
    after: bool


def _options(log: Path, names: Sequence[str], inject: str = "") -> list[str]:
    wanted = ",".join(f"?{name}" for name in ("execve", *names))
    quiet = ["-qq", "-e", "signal=none"]
    options = ["strace", "-f", "--seccomp-bpf", "-yy", *quiet, "-o", str(log), "-e", f"trace={wanted}"]
    return [*options, "-e", f"inject={inject}"] if inject else options


class Traced:
    """A command under strace."""

    def __init__(
        self, desk: CaseFolder, arguments: Sequence[str], names: Sequence[str], inject: str = ""
    ) -> None:
        pipe = desk.folder / "trace"
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe)
        self._fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        self.command = desk.start(*arguments, prefix=_options(pipe, names, inject))
        self.trace = Trace(self._fd)

    def calls(self) -> Iterator[Call]:
        """Its calls as they happen."""
        waiting = select.poll()
        waiting.register(self._fd, select.POLLIN)
        if not waiting.poll(PATIENCE * 1000):
            self.command.process.kill()
            raise TimeoutError("strace says nothing")
        os.set_blocking(self._fd, True)
        yield from self.trace.calls()
        os.close(self._fd)

    def kill(self) -> None:
        """SIGKILL to the traced process; strace ends with it."""
        os.kill(self.trace.process, signal.SIGKILL)


def recorded(desk: CaseFolder, arguments: Sequence[str], names: Sequence[str]) -> tuple[list[Call], Ended]:
    """All calls of these names that an undisturbed command makes, as they returned."""
    traced = Traced(desk, arguments, names)
    calls = [call for call in traced.calls() if call.returned]
    return calls, traced.command.ended()


def killed_at(desk: CaseFolder, arguments: Sequence[str], moment: Moment) -> tuple[bool, Ended]:
    """Kill a command at a moment; whether that moment came before its own end."""
    when = f":when={moment.number}" if moment.number else ""
    held = f"{moment.call}:delay_{'exit' if moment.after else 'enter'}={HOLD}{when}"
    traced = Traced(desk, arguments, [moment.call], held)
    target, rank, hit = re.compile(moment.target), 0, False
    for call in traced.calls():
        meant = call.name == moment.call and call.returned is moment.after
        if (
            hit
            or not meant
            or (moment.number and call.number != moment.number)
            or not target.search(call.text)
        ):
            continue
        rank += 1
        if rank == moment.rank:
            traced.kill()
            hit = True
            desk.note(f"SIGKILL {'after' if moment.after else 'before'} {call.name}({call.text}")
    return hit, traced.command.ended()


def failed_at(
    desk: CaseFolder, arguments: Sequence[str], name: str, number: int, error: str, from_then_on: bool
) -> tuple[list[str], Ended]:
    """Let the `number`th call of each thread fail, once or from then on; the calls that did."""
    when = f"{number}{'+' if from_then_on else ''}"
    traced = Traced(desk, arguments, [name], f"{name}:error={error}:when={when}")
    failed = [f"{c.name}({c.text}" for c in traced.calls() if c.returned and c.text.endswith(_INJECTED)]
    desk.note(f"made to fail: {failed}")
    return failed, traced.command.ended()
