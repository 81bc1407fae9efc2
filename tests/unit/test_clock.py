"""The clock of all waits: nominal seconds that no change of the wall clock moves."""

import time

import pytest

from batchrunner.clock import Clock


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
