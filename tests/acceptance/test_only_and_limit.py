"""`--only` and `--limit` submit a part of the plan, the same part each time."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (["--limit", "2"], {"ant", "bee"}),
        (["--only", "cat"], {"cat"}),
        (["--only", "kind=bird", "--only", "ant", "--limit", "2"], {"ant", "dove"}),
    ],
)
def test_repeated_runs_submit_the_same_selection(
    desk: Any, sim: Any, options: list[str], made: set[str]
) -> None:
    """`--limit` and `--only` mean the same tasks at every run: exit 0 for them, the others wait unpaid."""
    sim.start()
    bird = {"id": "dove", "prompt": "dove flies", "labels": {"kind": "bird"}}
    desk.write("ant", "bee", "cat", bird)
    for _ in range(2):
        assert desk.run(*options).code == 0
        assert {name for name, state in desk.states().items() if state == "done"} == made
        assert len(sim.charges()) == len(made)
    assert desk.run().code == 0
    assert len(sim.charges()) == 4


def test_a_selection_that_matches_no_task_sends_nothing(desk: Any, sim: Any) -> None:
    """Exit 2 with the nearest name, and no folder."""
    sim.start()
    desk.write("ant", "bee")
    done = desk.run("--only", "bees")
    assert done.code == 2
    assert "bee?" in done.stderr
    assert not desk.directory.exists()
    assert sim.posts() == 0


@pytest.mark.parametrize("option", ["--limit=0", "--limit=x", "--limit=-1"])
def test_an_invalid_limit_is_refused(desk: Any, option: str) -> None:
    """What is wrong with another value is said in words."""
    desk.write("ant")
    done = desk.do("run", "batch.yaml", "--simulate", option)
    assert done.code == 2
    assert "is not a valid number of tasks: use 1 or more" in done.stderr
