"""What the command says about chains: before they are paid for, and when a person changes them."""

from __future__ import annotations

from typing import Any

from tests.acceptance.test_chains import shot, video_of


def test_the_estimate_of_a_needed_video_is_as_long_as_it_is_to_be(desk: Any, sim: Any) -> None:
    """Known lengths no longer count as the longest, and what is charged is never more than estimated."""
    sim.start()
    bee = {"id": "bee", "prompt": "bee goes on", **video_of("ant"), "duration": 4}
    desk.write(shot("ant", duration=4), bee)
    planned = desk.do("plan", "batch.yaml", *desk.at_gateway()[:2], "--json").json
    desk.check(desk.run(), 0)
    charged = {name: sim.charges(name)[0]["tokens"] for name in ("ant", "bee")}
    most = {task["id"]: task["tokens"] for task in planned["tasks"]}
    assert charged["ant"] <= most["ant"]
    assert charged["bee"] <= most["bee"] < 1.2 * charged["bee"]
    (attempt,) = desk.do("status", "batch.run", "bee", "--json").json["all_attempts"]
    assert attempt["worst_tokens"] == most["bee"]
