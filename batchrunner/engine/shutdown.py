"""Stops a run after a signal or an error, waiting for unanswered POSTs if possible."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from batchrunner.core.text import count
from batchrunner.engine.admission import Admission

AIR_TIME = 60.0
"""Real seconds that submissions in the air are awaited after a stop."""
TOLD_EVERY = 5
"""Seconds between two words about it."""


class StopRequest:
    """Why the run is to end before its work does: a signal, or an error that nothing can go on after."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.signal = 0
        self.error: Exception | None = None

    def by_signal(self, number: int) -> None:
        """Ask for a stop."""
        self.signal = self.signal or number
        self._asked.set()

    def by_error(self, error: Exception) -> None:
        """Ask for a stop because nothing can go on; the first reason stays."""
        if self.error is None:
            self.error = error
        self._asked.set()

    async def asked(self) -> None:
        """Wait until somebody asks."""
        await self._asked.wait()


@contextmanager
def handle_signals(stop: StopRequest, restore_terminal: Callable[[], None]) -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or lost terminal into a request; the second ends the process at once.

    Outside the main thread, where signals can't be heard, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def heard(number: int) -> None:
        # A terminal that goes away may send several SIGHUPs: nobody asked twice.
        if stop.signal and number != signal.SIGHUP:
            restore_terminal()
            # Whatever is in the air is in doubt at the next start, as after a kill -9.
            os._exit(128 + number)
        stop.by_signal(number)

    told = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` asks that it be ignored
        told.append(signal.SIGHUP)
    for number in told:
        loop.add_signal_handler(number, heard, number)
    try:
        yield
    finally:
        for number in told:
            loop.remove_signal_handler(number)


async def supervise(
    work: Awaitable[None], gate: Admission, stop: StopRequest, notice: Callable[[str], None]
) -> None:
    """Run `work` to its end, or to a stop: no new POST, those in the air awaited, the rest cancelled.

    Raises:
        Exception: the error that the stop was asked for, or that `work` ended with.
    """
    working = asyncio.ensure_future(work)
    asked = asyncio.create_task(stop.asked(), name="stop request")
    await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if not working.done():
        gate.close()
        await _air_cleared(gate, notice)
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    if stop.error:
        raise stop.error


async def _air_cleared(gate: Admission, notice: Callable[[str], None]) -> None:
    """Wait until every submission in the air has its outcome, but not for ever."""
    loop = asyncio.get_running_loop()
    end, told = loop.time() + AIR_TIME, AIR_TIME + TOLD_EVERY
    while gate.in_the_air and (left := end - loop.time()) > 0:
        if told - left >= TOLD_EVERY:
            told = left
            unanswered = count(gate.in_the_air, "unanswered submission")
            notice(f"stopping: waiting up to {left:.0f} s for {unanswered}")
        await asyncio.sleep(0.05)
