"""`concurrency: auto` through the command: the simulator's account has slots, and a queue behind them."""

from typing import Any

import pytest

from batchrunner.core.errors import ExitCode
from tests.harness.run_directory import log_lines

SLOTS = 4
TASKS = [f"task{number:02}" for number in range(24)]
POLL = "GET /v1/video/generations/{id}"


def shares(charges: list[dict[str, Any]]) -> tuple[float, int]:
    """How busy the slots were while all could be, and the most that were queued at once."""
    lives = [charge["life"] for charge in charges]
    begin = sorted(life["running_at"] for life in lives)[2 * SLOTS]
    end = sorted(life["ended_at"] for life in lives)[-SLOTS - 2]
    used = sum(max(0.0, min(life["ended_at"], end) - max(life["running_at"], begin)) for life in lives)
    queued = [sum(one["created_at"] <= at["created_at"] < one["running_at"] for one in lives) for at in lives]
    return used / (SLOTS * (end - begin)), max(queued)


def test_the_accounts_slots_are_found_and_kept_full(desk: Any, sim: Any) -> None:
    """Nobody said that there are four: they are busy, the queue is short, and each task is paid for once."""
    sim.start(scale=0.01, capacity=SLOTS, generation_seconds=90)
    desk.write(*TASKS, concurrency="auto", submit_rate=6000)
    done = desk.run()
    charges = sim.charges()
    assert (done.code, len(charges)) == (ExitCode.DONE, len(TASKS)), done.stderr
    assert "as many at once as the account runs" in done.stderr
    busy, queued = shares(charges)
    assert queued <= 4  # every task is queued for its first three seconds, though a slot may be free
    assert busy >= 0.8


def test_a_resumed_run_counts_what_is_in_flight(desk: Any, sim: Any) -> None:
    """Killed with four running and one queued, resumed while they still are: no more is submitted."""
    sim.start(capacity=SLOTS, generation_seconds=1_000_000)
    desk.write(*TASKS, concurrency=5, task_deadline="8000h", submit_rate=6000, canary=False)
    desk.start_run().reached(5, "accepted").killed()
    desk.write(*TASKS, concurrency="auto", task_deadline="8000h", submit_rate=6000, canary=False)
    before = sim.requests()[POLL]
    command = desk.start_run()
    desk.until(lambda: sim.requests()[POLL] > before + 25, "polls")
    command.killed()
    assert len(sim.charges()) == 5


@pytest.mark.parametrize(("limit", "told"), [("auto", "concurrency 1 → auto"), ("3", "concurrency 1 → 3")])
def test_it_can_be_set_during_a_run(desk: Any, sim: Any, limit: str, told: str) -> None:
    """From one to auto, which begins with three."""
    sim.start(generation_seconds=1_000_000)
    desk.write(*TASKS[:6], concurrency=1, task_deadline="8000h", submit_rate=6000)
    command = desk.start_run().reached(1, "accepted")
    assert desk.do("set", "batch.run", f"concurrency={limit}").code == 0
    command.reached(3, "accepted")
    notices = [line.get("notice", "") for line in log_lines(desk.directory / "run.log")]
    assert any(told in notice for notice in notices)
    command.clear_away()
