"""Stops a run after a signal or an error, waiting for unanswered POSTs if possible."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

from batchrunner.core.text import count
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.together import Stoppable
from batchrunner.output.terminal import terminal_is_gone

AIR_TIME = 60.0
"""Real seconds to wait for unanswered submissions after a stop."""
TOLD_EVERY = 5
"""Seconds between messages about it."""


class StopRequest:
    """A request to end the run early: a signal, a fatal error, or the hours of the run."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self.signal = 0
        self.error: Exception | None = None

    def by_signal(self, number: int) -> None:
        """Request a stop because of a signal; the first signal is kept."""
        self.signal = self.signal or number
        self._asked.set()

    def by_error(self, error: Exception) -> None:
        """Request a stop because of a fatal error; the first error is kept."""
        if self.error is None:
            self.error = error
        self._asked.set()

    def by_hours(self) -> None:
        """Request a stop because the run's hours are over and it detaches."""
        self._asked.set()

    async def asked(self) -> None:
        """Wait for a stop request."""
        await self._asked.wait()


@contextmanager
def handle_signals(
    stop: Stoppable, restore_terminal: Callable[[], None], notice: Callable[[str], None]
) -> Iterator[None]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into a stop request; the second ends the process at once.

    A SIGHUP because the terminal is gone only leads to a notice. Does nothing outside the main thread, where
    signals can't be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    had_terminal = not terminal_is_gone()

    def heard(number: int) -> None:
        if number == signal.SIGHUP and had_terminal and terminal_is_gone():
            notice(f"the terminal is gone; the run goes on. `kill {os.getpid()}` stops it")
            return
        # A closing terminal may send several SIGHUPs: they don't count as a second request.
        if stop.signal and number != signal.SIGHUP:
            restore_terminal()
            # Unanswered submissions are in doubt at the next start, as after a kill -9.
            os._exit(128 + number)
        stop.by_signal(number)

    told = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` sets it to be ignored
        told.append(signal.SIGHUP)
    former = {number: signal.getsignal(number) for number in told}
    for number in told:
        loop.add_signal_handler(number, heard, number)
    try:
        yield
    finally:
        for number in told:
            loop.remove_signal_handler(number)
            signal.signal(number, former[number])


async def supervise(
    work: Awaitable[None], gate: Dispatch, stop: StopRequest, notice: Callable[[str], None]
) -> None:
    """Run `work` to its end or until a stop: no new POSTs, unanswered ones awaited, the rest cancelled.

    To cancel it is to ask for a stop, as Ctrl-C does: what the gateway accepts meanwhile must be recorded.

    Raises:
        Exception: the error that caused the stop, or that `work` raised.
    """
    working = asyncio.ensure_future(work)
    asked = asyncio.create_task(stop.asked(), name="stop request")
    insisted: asyncio.CancelledError | None = None
    try:
        await asyncio.wait({working, asked}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        stop.by_signal(signal.SIGINT)
    asked.cancel()
    if not working.done():
        gate.close()
        if stop.signal:
            notice("stopping: what generates goes on at the gateway, and the next run collects it")
        try:
            await _air_cleared(gate, notice)
        except asyncio.CancelledError as error:
            insisted = error  # as a second Ctrl-C: what is unanswered is in doubt at the next start
        working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    if stop.error:
        raise stop.error
    if insisted:
        raise insisted


async def _air_cleared(gate: Dispatch, notice: Callable[[str], None]) -> None:
    """Wait until every unanswered submission has an outcome, for at most `AIR_TIME`."""
    loop = asyncio.get_running_loop()
    end, told = loop.time() + AIR_TIME, AIR_TIME + TOLD_EVERY
    while gate.in_the_air and (left := end - loop.time()) > 0:
        if told - left >= TOLD_EVERY:
            told = left
            unanswered = count(gate.in_the_air, "unanswered submission")
            notice(f"stopping: waiting up to {left:.0f} s for {unanswered}")
        await asyncio.sleep(0.05)
