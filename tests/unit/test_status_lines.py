"""The display where there is no terminal: a line a minute at most."""

from types import SimpleNamespace
from typing import Any

import pytest

from batchrunner.core.model import TaskKey
from batchrunner.core.progress import Money
from batchrunner.core.states import Event, TaskState
from batchrunner.core.summary import Tally
from batchrunner.ledger import LedgerEvent
from batchrunner.output import progress
from batchrunner.output.progress import INTERVAL, UNCHANGED_INTERVAL, Lines


@pytest.fixture
def clock(monkeypatch: Any) -> Any:
    """A clock that a test moves."""
    now = SimpleNamespace(at=1000.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.at)
    return now


def failed(name: str) -> LedgerEvent:
    pending, over = TaskState.GENERATING, TaskState.FAILED
    event = Event.GENERATION_FAILED
    return LedgerEvent(0.0, TaskKey(name), name, None, event, pending, over, "code", "why", planned=True)


def test_a_line_a_minute_names_the_newest_failure(clock: Any, capsys: Any) -> None:
    """However much happens; the same one again after ten minutes, so that a log shows life."""
    lines, tally = Lines(), Tally({TaskState.DONE: 1, TaskState.FAILED: 0, TaskState.GENERATING: 9})
    status = SimpleNamespace(waiting_for="", slots=2, most_slots=3)
    lines.start(tally, status)
    for seconds in range(int(2 * INTERVAL + UNCHANGED_INTERVAL)):
        clock.at = 1000.0 + seconds
        if seconds < INTERVAL:
            tally.moved(TaskState.GENERATING if seconds < 9 else TaskState.FAILED, TaskState.FAILED)
            lines.event(failed(f"t{seconds}"))
        lines.tick(Money(1_500_000, 0, "EUR"))
    line, again = (text[10:] for text in capsys.readouterr().err.splitlines())
    assert line == again
    assert "1 of 10 tasks done · 9 failed (newest: failed      t59  code why)" in line
    assert line.endswith("2 of 3 slots · 1.50 EUR spent")
