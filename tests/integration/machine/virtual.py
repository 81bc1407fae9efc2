"""A process in which no time passes by itself: virtual time, SQLite without threads, and death at any await.

The program under test is the real one. Only what it takes from outside is replaced: the event loop and its
clock, threads (what they do is done at once, between two steps of the loop), signals, and the gateway.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import sqlite3
import weakref
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import aiosqlite

from batchrunner.clock import Clock
from batchrunner.engine import accounts, flow, preparation, reporter, session
from batchrunner.engine.shutdown import StopRequest
from batchrunner.ledger import Ledger, RunLock

EPOCH = 1_800_000_000.0
"""Unix time when the loop begins."""
A_ROUND = 1e-6
"""Seconds that a round of the loop takes: with none, rounding could keep a wait from ever ending."""


class _NoWaiting(selectors.SelectSelector):
    """Where an event loop would wait for the network, time moves on instead."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("nothing would ever happen any more")
        self.passed += max(A_ROUND, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number."""

    def __init__(self) -> None:
        self._selector_without_waiting = _NoWaiting()
        super().__init__(self._selector_without_waiting)
        self._is_passing = False

    def time(self) -> float:
        return self._selector_without_waiting.passed

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """A thread: its work is done even if nobody waits for it any more."""
        future = self.create_future()

        def work() -> None:
            try:
                result, error = func(*args), None
            except Exception as raised:
                result, error = None, raised
            if future.done():
                return
            if error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_soon(work)
        return future

    def pass_until(self, at: float) -> None:
        """Let everything happen that happens before `at`, or until an `interrupt`."""
        end, self._is_passing = self.call_at(at, self.stop), True
        self.run_forever()
        end.cancel()
        self._is_passing = False

    def interrupt(self, *_: object) -> None:
        """End `pass_until` now."""
        if self._is_passing:
            self.stop()

    def pass_steps(self, steps: int) -> None:
        """Let so many rounds of the loop happen, in no time."""
        for _ in range(steps):
            self.call_soon(self.stop)
            self.run_forever()

    def drop_everything(self) -> None:
        """Forget all that was to happen."""
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]


class VirtualClock(Clock):
    """The run's clock on the loop's time."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(1.0)
        self._loop, self._began = loop, loop.time()

    def now(self) -> float:
        return self._loop.time() - self._began

    def wall(self) -> float:
        return EPOCH + self._loop.time()


class Process:
    """What one life of the program holds: its tasks, its connections, its lock. `kill` takes all of it."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._dead: list[asyncio.Task[Any]] = []
        self.connections: list[aiosqlite.Connection] = []
        self.cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()
        """A connection with a statement half-way would keep its locks when it is closed."""
        self.locks: list[RunLock] = []
        self.stop_request: StopRequest | None = None

    def kill(self) -> None:
        """kill -9: no `finally` runs, nothing is committed, the kernel lets the lock go."""
        self._dead += asyncio.all_tasks(self._loop)
        self._loop.drop_everything()
        for cursor in self.cursors:
            with suppress(sqlite3.ProgrammingError):  # its connection was closed before
                cursor.close()
        for db in self.connections:
            if db._connection is not None:
                db._connection.close()
                db._connection = None
        for lock in self.locks:
            lock.release()
        self.connections.clear()
        self.locks.clear()
        self.stop_request = None

    def bury(self) -> None:
        """Let the tasks of killed processes end, now that it makes no difference."""
        self._loop.set_exception_handler(lambda loop, context: None)
        self._loop.run_until_complete(_closed(self._dead))
        self.kill()
        for task in self._dead:
            task._log_destroy_pending = False  # type: ignore[attr-defined]

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Carry out something short, as a command of its own."""
        return self._loop.run_until_complete(work)


async def _closed(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        for _ in range(100):  # each await in a `finally` refuses once
            with suppress(Exception, BaseExceptionGroup):  # a task group wraps the GeneratorExit
                task.get_coro().close()  # type: ignore[union-attr]
                break


@contextmanager
def replaced(loop: VirtualLoop, process: Process, open_gateway: Any, seed: int) -> Iterator[None]:
    """The program's surroundings, replaced for a while."""
    clock, dice = VirtualClock(loop), random.Random(seed)

    class TimedLedger(Ledger):
        @classmethod
        @asynccontextmanager
        async def open(cls, directory: Any, now: Any = None, worst_of: Any = None) -> Any:  # type: ignore[override]
            is_new = preparation.has_no_ledger(directory)
            async with super().open(directory, clock.wall, worst_of) as ledger:
                if is_new:  # the same night has the same seeds
                    await ledger.set_meta("run_id", f"{dice.getrandbits(128):032x}")
                yield ledger

    class HeldLock(RunLock):
        def acquire(self) -> None:
            super().acquire()
            process.locks.append(self)

    @contextmanager
    def no_signals(stop: StopRequest, *_: object) -> Iterator[None]:
        process.stop_request = stop
        yield
        process.stop_request = None

    with ExitStack() as patches:
        for where, name, what in (
            (session, "Clock", lambda scale: VirtualClock(loop)),
            (accounts, "Gateway", SimpleNamespace(open=open_gateway)),
            (session, "Ledger", TimedLedger),
            (session, "RunLock", HeldLock),
            (flow, "handle_signals", no_signals),
            (reporter, "TICK", 600.0),
            (preparation, "time", SimpleNamespace(time=clock.wall)),
            *((aiosqlite.Connection, name, what) for name, what in _without_thread(process).items()),
        ):
            patches.enter_context(patch.object(where, name, what))
        yield


def _without_thread(process: Process) -> dict[str, Any]:
    """aiosqlite's connection without its thread: each call is two steps, and either may be the last."""

    async def execute(self: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._connection is None:
            raise ValueError("Connection closed")
        await asyncio.sleep(0)
        if self._connection is None:
            raise ValueError("Connection closed")
        try:
            result = function(*args, **kwargs)
            if isinstance(result, sqlite3.Cursor):
                process.cursors.add(result)
            return result
        finally:
            await asyncio.sleep(0)

    def connected(self: Any) -> Any:
        async def connect() -> Any:
            self._connection = self._connector()
            process.connections.append(self)
            return self

        return connect().__await__()

    async def close(self: Any) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    return {"_execute": execute, "__await__": connected, "close": close, "stop": lambda self: None}
