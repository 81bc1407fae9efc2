"""A window and a deadline, through the command: what is paid for is collected, and nothing is submitted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest


def window_far_from_now() -> str:
    """An hour in UTC, twelve hours from now."""
    begin = datetime.now(UTC) + timedelta(hours=12)
    return f"{begin:%H}:00-{begin + timedelta(hours=1):%H}:00"


@pytest.mark.parametrize("stop", ["drain", "detach"])
def test_a_start_outside_the_window_collects_and_submits_nothing(desk: Any, sim: Any, stop: str) -> None:
    """What an earlier run left is downloaded; exit 75 and the summary say when it goes on; then it does."""
    sim.start()
    desk.write("ant", "bee")
    desk.start_run("--limit", "1").reached(1, "accepted").killed()
    desk.until(sim.settled, "the end of the generation")
    window = window_far_from_now()
    desk.write("ant", "bee", window=window, timezone="UTC", stop=stop)
    ended = desk.run()
    assert (ended.code, sim.posts()) == (75, 1)
    assert desk.states() == {"ant": "done", "bee": "pending"}
    assert f"outside the window {window} (UTC)" in ended.stdout
    assert f"{window[:5]} UTC: run the same command again then" in ended.stdout
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


def test_a_run_after_its_deadline_submits_nothing(desk: Any, sim: Any) -> None:
    """A date in the past: exit 75, nothing was sent, and the hint names the setting."""
    sim.start()
    desk.write("ant", deadline="2026-01-01 00:00", timezone="Europe/Berlin")
    ended = desk.run("--json")
    assert (ended.code, sim.posts()) == (75, 0)
    assert "2026-01-01 00:00 Europe/Berlin" in ended.stdout
    assert "run.deadline" in ended.stdout


def test_a_batch_that_is_done_says_nothing_of_its_hours(desk: Any, sim: Any) -> None:
    """Exit 0 outside the window, too, if nothing is left to do."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    desk.write("ant", window=window_far_from_now(), timezone="UTC")
    ended = desk.run()
    desk.check(ended, 0)
    assert "window" not in ended.stdout
