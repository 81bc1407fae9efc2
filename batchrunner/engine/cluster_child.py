"""Keeps the process that uses a cluster running, and asks it.

The child is only help: it has no key, and records nothing. If it ends, hangs or talks nonsense, whoever asked
gets no answer, and it is started again a few times.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Generic, TypeVar

from batchrunner.core.redaction import without_keys
from batchrunner.engine.cluster_messages import TRY_WITHIN, NotHere, request_line
from batchrunner.storage.files import part_of

A = TypeVar("A")

CHILD = (sys.executable, "-X", "utf8", "-m", "batchrunner.cluster")
"""The command of the process that uses the cluster."""
STARTS = (0.0, 1.0, 5.0, 25.0)
"""Real seconds before each start of the child; after the last one, everything is done here."""
PATIENCE = 2.5
"""How long to wait for an answer, as a multiple of the time for one try; the child tries twice."""
ENDS_WITHIN = 5.0
"""Real seconds in which the child ends by itself once it is no longer needed."""
LONGEST_LINE = 1 << 16
"""Bytes; the child never sends a longer line."""


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for the child: without keys, what leads to them, and passwords of proxies.

    Those of the storage stay, which workers on this machine need.
    """
    return {
        name: value
        for name, value in without_keys(environment).items()
        if not (name.lower().endswith("_proxy") and "@" in value)
    }


class ClusterChild(Generic[A]):
    """The process that uses a cluster, for one kind of work; `A` are its answers."""

    def __init__(
        self,
        folder: Path,
        setup: Callable[[str], str],
        read: Callable[[bytes], tuple[int, A | NotHere]],
        notice: Callable[[str], None],
        command: Sequence[str] = CHILD,
        starts: Sequence[float] = STARTS,
        patience: float = PATIENCE,
    ) -> None:
        """`setup` returns the first line to the child.

        It is given the name of a file in `folder` whose content is this name, by which a worker can tell
        whether it sees that folder.
        """
        self._folder, self._setup, self._read, self._notice = folder, setup, read, notice
        self._command, self._starts, self._patience = command, starts, patience
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[A | NotHere]] = {}
        self._process: Process | None = None
        self._begun = asyncio.Event()
        self._told = set[str]()

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process is not None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the child running as long as the context."""
        keeping = asyncio.create_task(self._keep_running(), name="cluster")
        try:
            await self._begun.wait()
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def ask(
        self, request: Mapping[str, object], refused: str, seconds: float = TRY_WITHIN
    ) -> A | NotHere | None:
        """Have something done by the cluster; None if there is no answer.

        `seconds` are for one try; `refused` says what the cluster can't do, should that be the answer.
        """
        child, number = self._process, next(self._numbers)
        if child is None or child.stdin is None:
            return None
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            child.stdin.write(f"{request_line(number, request, seconds)}\n".encode())
            async with asyncio.timeout(self._patience * seconds):
                found: A | NotHere = await answer
        except TimeoutError:
            self.notice_once("the cluster doesn't answer; its work is done here")
            with suppress(ProcessLookupError):
                child.kill()
            return None
        finally:
            self._waiting.pop(number, None)
        if isinstance(found, NotHere) and found.why:
            self.notice_once(f"{refused}, so this machine does: {found.why}")
        return found

    def notice_once(self, text: str) -> None:
        """Tell the user something, unless that was told before."""
        if text not in self._told:
            self._told.add(text)
            self._notice(text)

    async def _keep_running(self) -> None:
        """Start the child, and again whenever it ends, until that is no use."""
        probe = part_of(self._folder / "probe")
        setup = self._setup(probe.name)
        try:
            probe.write_text(probe.name, encoding="utf-8")
            for wait in self._starts:
                await asyncio.sleep(wait)
                await self._run(setup)
            self.notice_once("the cluster is gone; this machine does the rest")
        except OSError as error:
            self.notice_once(f"the cluster can't be used: {error.strerror}")
        finally:
            self._begun.set()
            with suppress(OSError):
                probe.unlink()

    async def _run(self, setup: str) -> None:
        """Run the child until it ends, or says something that can't be understood."""
        # Its own session: Ctrl-C on the terminal must reach only this process.
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=child_environment(os.environ),
            start_new_session=True,
            limit=LONGEST_LINE,
        )
        try:
            assert child.stdin  # noqa: S101  a pipe
            assert child.stdout  # noqa: S101  also a pipe
            child.stdin.write(f"{setup}\n".encode())
            self._process = child
            self._begun.set()
            while line := await child.stdout.readline():
                self._answered(*self._read(line))
        except ValueError:  # not an answer, or without an end
            self.notice_once("the process that uses the cluster sent something that is not an answer")
            with suppress(ProcessLookupError):
                child.kill()
        finally:
            self._process = None
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(NotHere(""))
            await _ended(child)

    def _answered(self, number: int, answer: A | NotHere) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
        elif not number and isinstance(answer, NotHere):  # about no request: why it ends
            self.notice_once(f"the cluster can't be used: {answer.why}")


async def _ended(child: Process) -> None:
    """Let the child end, or end it."""
    if child.stdin:
        child.stdin.close()
    try:
        async with asyncio.timeout(ENDS_WITHIN):
            await child.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
