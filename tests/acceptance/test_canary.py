"""The first videos of a kind: a gateway that makes something else is not paid for more than two of them."""

from __future__ import annotations

from typing import Any

import pytest

SCALE = 0.01
"""A run gives up after a nominal hour with nothing accepted, which is short at the usual scale."""
MANY = [f"p{number}" for number in range(22)]


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({"duration": 6}, "requested 4 s, got 6.04"),
        ({"resolution": "720p"}, "requested 480p, got 720p (1280x720)"),
        ({"ratio": "1:1"}, "requested 16:9, got 640x640"),
        ({"tokens": 1.2}, "charged 48,712 tokens instead of 40,594 at most"),
    ],
)
def test_what_differs_from_the_request_stops_its_kind(desk: Any, sim: Any, made: Any, told: str) -> None:
    """After two charges at most, exit 1; what came instead is named, and what was paid for is kept."""
    sim.start(scale=SCALE, makes=made)
    desk.write(*MANY, concurrency=8)
    done = desk.run()
    assert done.code == 1
    assert told in done.stdout
    charges = sim.charges()
    assert 1 <= len(charges) <= 2
    states = list(desk.states().values())
    assert states.count("done") == len(charges)
    assert states.count("pending") == len(MANY) - len(charges)
    later = desk.do("status", str(desk.directory))
    assert later.code == 1
    assert f"the last run stopped: the first videos are not what was requested: {told}" in later.stdout
    assert len(list((desk.directory / "videos").glob("*.mp4"))) == len(charges)


def test_neither_a_kill_nor_a_selection_ends_the_watch(desk: Any, sim: Any) -> None:
    """Fewer than 20 are left to submit then: still two at most in each run."""
    sim.start(scale=SCALE, makes={"duration": 6})
    desk.write(*MANY[:20], concurrency=8)
    desk.start_run().reached(2, "accepted").killed()
    assert desk.run().code == 1
    assert len(sim.charges()) == 2
    assert desk.run("--limit", "10").code == 1
    assert len(sim.charges()) <= 4


def test_each_kind_has_its_own(desk: Any, sim: Any) -> None:
    """The gateway makes 4 seconds whatever is requested: only the kind that asked for others stops."""
    sim.start(scale=SCALE, makes={"duration": 4})
    tasks = [{"id": f"s{n}", "prompt": f"p {n}"} for n in range(20)]
    tasks += [{"id": f"l{n}", "prompt": f"p {n}", "duration": 9} for n in range(20)]
    desk.write(*tasks, concurrency=8)
    done = desk.run()
    assert done.code == 1
    made = [charge["prompt"] for charge in sim.charges()]
    assert 21 <= len(made) <= 22
    states = desk.states()
    assert all(states[f"s{n}"] == "done" for n in range(20))


def test_false_turns_it_off(desk: Any, sim: Any) -> None:
    """All 22 are made, each with a warning in its row."""
    sim.start(scale=SCALE, makes={"duration": 6})
    desk.write(*MANY, concurrency=8, canary=False)
    assert desk.run().code == 0
    assert len(sim.charges()) == len(MANY)
    assert all("requested 4 s, got 6.04" in row["warnings"] for row in desk.rows())


def test_a_proven_kind_is_remembered(desk: Any, sim: Any) -> None:
    """More tasks of the kind, in a later run, need not wait for its first video."""
    sim.start(scale=SCALE)
    desk.write(*MANY, concurrency=8)
    assert desk.run().code == 0
    ended = min(charge["life"]["ended_at"] for charge in sim.charges())
    assert sum(charge["at"] < ended for charge in sim.charges()) <= 2
    sim.start({"on": "generate", "do": "timeout_24h"})
    desk.write(*MANY, *(f"q{number}" for number in range(20)), concurrency=8)
    run = desk.start_run()
    desk.until(lambda: len(sim.charges()) == len(MANY) + 8, "eight at once")
    run.killed()


def test_a_failed_canary_is_replaced(desk: Any, sim: Any) -> None:
    """The first two fail, and are refunded: others take their place, and all the rest are made."""
    sim.start({"on": "generate", "do": "fail", "nth": [1, 2]}, scale=SCALE)
    desk.write(*MANY, concurrency=8, retry_codes=[])
    done = desk.run()
    assert done.code == 1
    states = list(desk.states().values())
    assert (states.count("done"), states.count("failed")) == (20, 2)
    charges = sim.charges()
    first_good = min(charge["life"]["ended_at"] for charge in charges[2:4])
    assert all(charge["at"] >= first_good for charge in charges[4:])
