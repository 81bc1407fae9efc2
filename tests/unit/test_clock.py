"""The clock of all waits: nominal seconds that no change of the wall clock moves."""

import asyncio
import itertools
import time

import pytest

from batchrunner.clock import Clock, Pace


def test_changes_of_the_wall_clock_change_no_wait(monkeypatch):
    """Set forward or back by a day, it changes what is written down and not how long anything waits."""
    clock, wall = Clock(), time.time()
    for jump in (86400.0, -86400.0):
        monkeypatch.setattr("time.time", lambda jump=jump: wall + jump)
        assert 0 <= clock.now() < 60
        assert clock.wall() == wall + jump
    assert clock.since(wall) == 0


def test_a_scale_stretches_nominal_seconds():
    """With a scale of 0.5, ten nominal seconds take five real ones, and five recorded ones were ten."""
    clock = Clock(0.5)
    assert clock.real(10) == 5
    assert clock.since(clock.wall() - 5) == pytest.approx(10, abs=1)


def test_the_time_until_a_moment_of_the_wall_clock_is_nominal():
    """Times of day are not scaled, waits are: in a tenth of the time, an hour of the wall is ten hours."""
    clock = Clock(0.1)
    assert clock.until(clock.wall() + 3600) == pytest.approx(36000, abs=10)
    assert clock.until(clock.wall() - 5) == 0


class SteppingClock(Clock):
    """Its time is what was slept; others get their turn in between."""

    time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        end = self.time + seconds
        while self.time < end:
            await asyncio.sleep(0)
            self.time = min(end, self.time + 0.25)


def test_a_held_pace_gives_no_turn_and_no_burst_afterwards():
    """Those who waited before the hold wait for its end, too, and are then as far apart as ever."""

    async def story():
        clock = SteppingClock()
        pace, turns = Pace(clock, 1.0), []

        async def one():
            await pace.turn()
            turns.append(clock.time)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(one())
            await asyncio.sleep(0)
            pace.hold(100)
        return turns

    first, *others = asyncio.run(story())
    assert first == 0
    assert [round(later - earlier) for earlier, later in itertools.pairwise(others)] == [1, 1]
    assert others[0] >= 100
