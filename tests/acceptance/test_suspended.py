"""A process that is suspended, as by Ctrl-Z or a closed lid: the answer that came meanwhile is read."""

import signal
import time
from typing import Any

import pytest

pytestmark = pytest.mark.executed

TIMEOUT = 0.3
"""Seconds of submit_timeout; an answer is given up for sure after ten times as many."""


def overslept(desk: Any, seconds: float) -> None:
    """Wait until so long a time has gone by: here the time itself is what the test is about."""
    end = time.monotonic() + seconds
    desk.until(lambda: time.monotonic() > end, "the time to pass")


def test_an_answer_is_read_after_a_suspension_longer_than_the_timeout(
    desk: Any, sim: Any, relay: Any
) -> None:
    """The gateway answers while the process is stopped, long past submit_timeout: accepted, no doubt."""
    sim.start(usage_log=False)
    desk.write("ant", "bee", concurrency=1, submit_timeout=TIMEOUT)
    hold = relay.hold("submit", "ant", after=True)
    command = desk.start_run("--base-url", relay.url)
    hold.reached()
    command.stop()
    hold.release()
    overslept(desk, 10 * TIMEOUT + 0.5)
    command.send(signal.SIGCONT)
    desk.check(command.ended(), 0)
    assert command.events("unknown") == []
    assert len(sim.charges()) == 2
    assert relay.count("submit") == 2


def test_an_answer_that_comes_after_a_suspension_is_awaited(desk: Any, sim: Any, relay: Any) -> None:
    """Woken before the answer, the process waits on: the time it was stopped doesn't count as silence."""
    sim.start(usage_log=False)
    desk.write("ant", submit_timeout=5)
    hold = relay.hold("submit", "ant", after=True)
    command = desk.start_run("--base-url", relay.url)
    hold.reached()
    command.stop()
    overslept(desk, 1.0)
    command.send(signal.SIGCONT)
    hold.release()
    desk.check(command.ended(), 0)
    assert len(sim.charges()) == 1


def test_a_suspension_while_polling_and_downloading_loses_nothing(desk: Any, sim: Any, relay: Any) -> None:
    """Stopped with a generation in flight and a download half done, the run goes on where it was."""
    sim.start(generation_seconds=60)
    desk.write("ant", "bee")
    hold = relay.hold("content", after=True)
    command = desk.start_run("--base-url", relay.url)
    hold.reached()
    command.stop()
    hold.release()
    overslept(desk, 0.5)
    command.send(signal.SIGCONT)
    desk.check(command.ended(), 0)
    assert len(sim.charges()) == 2
