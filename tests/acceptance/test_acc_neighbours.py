"""Submissions in doubt beside each other: what explains one must not explain the other away."""

from typing import Any

OTHER = "dreamina-seedance-2-0"
CUT = {"on": "submit", "do": "cut_after_accept", "times": 1}


def test_what_was_adopted_explains_no_row_of_another_model(desk: Any, sim: Any) -> None:
    """Charged within the same second, one found and one still generating: the latter is not paid again."""
    sim.start(
        CUT | {"prompt": "cat*"},
        CUT | {"prompt": "bee*"},
        {"on": "generate", "do": "slow", "prompt": "bee*", "factor": 100},
    )
    cat = {"id": "cat", "prompt": "cat walks along the shore", "model": OTHER}
    desk.write(cat, "bee", "ant", on_doubt="resubmit", concurrency=1)
    done = desk.run()
    desk.check(done, 3)
    assert desk.states() == {"cat": "done", "bee": "in_doubt", "ant": "done"}
    assert "it may be charged" in desk.row("bee")["error_message"]
    assert len(sim.charges("bee")) == sim.posts() - 2 == 1
