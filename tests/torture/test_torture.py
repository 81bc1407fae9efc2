"""A sample of the torture, some cases of every kind; `python -m tests.torture --kills 0` plays all of it."""

from __future__ import annotations

import os

import pytest

from tests.harness.fork_server import ForkServer
from tests.torture import plan
from tests.torture.cases import BY_CHANCE, Stage
from tests.torture.tracing import unavailable

SEED, KILLS = 1, 24
REQUIRED = "REQUIRE_STRACE"
"""Where this stands in the environment, a machine without strace fails instead of skipping."""


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> Stage:
    """Where the cases of one test process are played."""
    return Stage(tmp_path_factory.mktemp("torture"), fork_server)


@pytest.mark.parametrize("kind", plan.KINDS)
def test_whatever_ends_a_run_nothing_is_paid_twice_or_lost(stage: Stage, kind: str) -> None:
    """Killed, signalled or without a disk at moments drawn from a seed, every promise holds."""
    if kind in plan.BY_STRACE and (reason := unavailable()):
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(reason)
    outcomes = [stage.play(name) for name in plan.names(kind, SEED, KILLS, stage.points)]
    broken = [f"{o.name}: {o.wrong}\nagain: python -m tests.torture --repeat {o.name}" for o in outcomes]
    assert not [text for text, outcome in zip(broken, outcomes, strict=True) if outcome.wrong]
    assert kind in BY_CHANCE or any(outcome.hits for outcome in outcomes), "nothing was hit"
