"""The computer's clock set back or forward by a day: no wait grows beyond its bound, nothing is lost."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_directory import update_ledger

DAY = 86_400.0
SITE = """
import time
from pathlib import Path

real, shift = time.time, Path(__file__).with_name("shift")
time.time = lambda: real() + float(shift.read_text() or 0)
"""
"""Python runs this at its start: the wall clock is off by what the file says, at any moment."""
SHIFTS = pytest.mark.parametrize("days", [-1, 1], ids=["back", "forward"])
CUT = {"on": "submit", "do": "cut_after_accept", "prompt": "bee*"}


@pytest.fixture
def shift(desk: Any, tmp_path: Path) -> Path:
    """A file that holds by how many seconds the commands' clock is off."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    desk.environment["PYTHONPATH"] = str(site)
    (site / "shift").write_text("0")
    return site / "shift"


def set_clock(shift: Path, days: float) -> None:
    """Set the commands' clock, also of those that run."""
    new = shift.with_name("new")
    new.write_text(str(days * DAY))
    new.replace(shift)


@SHIFTS
def test_a_clock_set_while_tasks_generate_and_wait_does_not_stop_the_run(
    desk: Any, sim: Any, shift: Path, days: float
) -> None:
    """Set in the middle of a run: what generates is polled and collected, what waits is sent, once each."""
    sim.start({"on": "submit", "do": "429", "prompt": "bee*", "times": 2}, generation_seconds=150)
    desk.write("ant", "bee", "cat", concurrency=2)
    run = desk.start_run().reached(1, "accepted")
    set_clock(shift, days)
    desk.check(run.ended(), 0)
    assert len(sim.charges()) == 3


@SHIFTS
def test_a_clock_set_between_two_runs_does_not_lose_generations(
    desk: Any, sim: Any, shift: Path, days: float
) -> None:
    """Accepted tomorrow or yesterday, as the clock now has it: the same ids are polled, none sent again."""
    sim.start(generation_seconds=100)
    desk.write("ant", "bee")
    desk.start_run().reached(2, "accepted").killed()
    desk.until(sim.settled, "the end of the generations")
    set_clock(shift, days)
    desk.check(desk.run(), 0)
    assert sim.posts() == 2


def test_a_clock_set_past_the_deadline_does_not_lose_a_paid_generation(
    desk: Any, sim: Any, shift: Path
) -> None:
    """A day after its acceptance, as it seems, a task has lost its slot and nothing else."""
    sim.start(generation_seconds=4000)
    desk.write("ant")
    desk.start_run().reached(1, "accepted").killed()
    set_clock(shift, 1)
    assert desk.run().code == 75
    assert desk.states() == {"ant": "generating"}
    desk.until(sim.settled, "the end of the generation")
    desk.check(desk.run(), 0)
    assert sim.posts() == 1


def test_a_clock_set_back_does_not_lengthen_the_wait_for_the_next_try(
    desk: Any, sim: Any, shift: Path
) -> None:
    """Its time lies a day ahead, as the clock now has it: two minutes are the most, and it is made."""
    sim.start({"on": "submit", "do": "500_refunded", "times": 1})
    desk.write("ant")
    desk.start_run().reached(1, "not_admitted").killed()
    update_ledger(desk.directory, "tasks SET not_before = not_before + ?", DAY)
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 1


@pytest.mark.parametrize("fault", ["cut_after_accept", "cut_before_accept"])
@SHIFTS
def test_a_clock_set_while_a_submission_is_in_doubt_costs_nothing_more(
    desk: Any, sim: Any, shift: Path, days: float, fault: str
) -> None:
    """Submitted tomorrow or yesterday, as it seems: looked up within a few minutes, one POST."""
    sim.start(CUT | {"do": fault})
    desk.write("ant", "bee")
    run = desk.start_run().reached(1, "unknown")
    run.killed()
    set_clock(shift, days)
    done = desk.run()
    assert done.code in (0, 3)
    assert sim.requests()["GET /api/log/token"] >= 1
    assert desk.states()["ant"] == "done"
    assert (desk.states()["bee"] == "done") <= (fault == "cut_after_accept")
    set_clock(shift, 0)
    desk.check(desk.run(), 0 if fault == "cut_after_accept" else 3)
    assert sim.posts() == 2


@SHIFTS
def test_a_clock_a_day_off_the_gateways_still_brings_every_video(
    desk: Any, sim: Any, shift: Path, days: float
) -> None:
    """A clock that was wrong from the start changes nothing but the times in the rows."""
    set_clock(shift, days)
    sim.start({"on": "submit", "do": "429_retry_after", "date": True, "seconds": 30, "times": 1})
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2
    assert all(float(row["generation_seconds"]) >= 0 for row in desk.rows())


@SHIFTS
def test_a_clock_set_during_a_post_leaves_no_doubt(
    desk: Any, sim: Any, relay: Any, shift: Path, days: float
) -> None:
    """A day that passes on the clock while a submission is in the air is no timeout."""
    sim.start(usage_log=False)
    desk.write("ant")
    hold = relay.hold("submit", after=True)
    run = desk.start_run("--base-url", relay.url)
    hold.reached()
    set_clock(shift, days)
    hold.release()
    desk.check(run.ended(), 0)
    assert relay.count("submit") == 1


@pytest.mark.parametrize("seconds", [75, 600, -600])
@pytest.mark.parametrize("on_doubt", ["keep", "resubmit"])
def test_a_clock_that_is_always_off_does_not_hide_a_doubt(
    desk: Any, sim: Any, shift: Path, seconds: int, on_doubt: str
) -> None:
    """The log's rows bear the gateway's clock, which its answers tell: adopted, one charge each."""
    set_clock(shift, seconds / DAY)
    sim.start(CUT | {"times": 1}, {"on": "generate", "do": "slow", "prompt": "cat*", "factor": 30})
    desk.write("ant", "bee", "cat", concurrency=1, on_doubt=on_doubt)
    desk.check(desk.run(), 0)
    assert (sim.posts(), len(sim.charges())) == (3, 3)


def test_a_clock_corrected_after_a_snapshot_does_not_hide_newer_tasks(
    desk: Any, sim: Any, shift: Path, tmp_path: Path
) -> None:
    """Two hours ahead at the first run, right at the second; the snapshot between them is put back."""
    sim.start()
    set_clock(shift, 2 / 24)
    desk.write("ant", "bee", "cat")
    assert desk.run("--limit", "1").code == 0
    shutil.copytree(desk.directory, tmp_path / "snapshot")
    set_clock(shift, 0)
    desk.check(desk.run(), 0)
    shutil.rmtree(desk.directory)
    shutil.copytree(tmp_path / "snapshot", desk.directory)
    desk.check(desk.run(), 0)
    assert (sim.posts(), len(sim.charges())) == (3, 3)
