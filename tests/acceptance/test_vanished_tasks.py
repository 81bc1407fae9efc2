"""Tasks that the gateway no longer knows: looking again is free, and only a person pays again."""

import json
from typing import Any

import pytest

from tests.harness.run_directory import let_hours_pass


def test_a_task_that_had_vanished_is_looked_at_again_for_free(desk: Any, sim: Any) -> None:
    """Failed because the gateway did not know it any more: `collect` looks again, and nothing is sent."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 60}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long)
    desk.write("ant", "bee")
    desk.check(desk.run(), 1)
    assert desk.row("bee")["error_code"] == "task_not_exist"
    collect = ("collect", "batch.run", *desk.at_gateway())
    sim.start()
    assert desk.do(*collect).code == 0
    assert desk.states() == {"ant": "done", "bee": "done"}
    assert (len(sim.charges()), sim.posts()) == (2, 0)


@pytest.fixture
def vanished(desk: Any, sim: Any) -> Any:
    """A desk with one video, one task that vanished after it was accepted, and one that was moderated."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 60}
    moderated = {"on": "generate", "do": "moderated", "prompt": "cat*", "times": 1}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long, moderated)
    desk.write("ant", "bee", "cat", max_attempts=1)
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "failed"}
    return desk


def test_retry_failed_leaves_out_tasks_that_may_be_paid_for(vanished: Any, sim: Any) -> None:
    """`--failed` is no word for a task that was accepted: it is named, and `collect`; its own name is one."""
    retried = vanished.do("retry", "batch.run", "--failed", "--json")
    assert retried.code == 0
    value = json.loads(retried.stdout)
    assert [[task["id"] for task in value[kind]] for kind in ("tasks", "left_out")] == [["cat"], ["bee"]]
    assert "1 task was accepted and may be paid for: bee (task_not_exist)" in retried.stderr
    assert "`batchrunner collect batch.run` checks again for free; to pay for them again" in retried.stderr
    vanished.check(vanished.run(), 1, again={"cat": 1})
    assert vanished.states() == {"ant": "done", "bee": "failed", "cat": "done"}
    assert len(sim.charges("bee")) == 1, "nobody said to pay for it again"

    none_left = vanished.do("retry", "batch.run", "--failed")
    assert (none_left.code, none_left.stdout) == (2, "")
    assert "bee (task_not_exist)" in none_left.stderr
    assert "batchrunner collect batch.run" in none_left.stderr
    assert vanished.states()["bee"] == "failed"

    named = vanished.do("retry", "batch.run", "bee")
    assert named.code == 0
    assert "accepted and may be paid for" in named.stderr
    assert "pay twice if it was charged" in named.stderr
    assert vanished.states()["bee"] == "pending"


def test_a_task_that_vanished_long_ago_comes_to_an_end(desk: Any, sim: Any) -> None:
    """Over its deadline when the next run takes it up: it is asked about until it is sure to be gone."""
    sim.start()
    desk.write("ant", "bee")
    desk.start_run().reached(2, "accepted").killed()
    desk.until(lambda: len(sim.charges()) == 2, "both charges")
    let_hours_pass(desk.directory)
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"})
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed"}


def test_collect_looks_at_what_vanished_and_leaves_no_trap(desk: Any, sim: Any) -> None:
    """Still not there, it is failed as before; the runs after that go on, and accuse no key."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 60}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long)
    desk.write("ant", "bee")
    done = desk.run()
    desk.check(done, 1)
    assert "collect" in done.stdout, "looking again is free, and is named before paying again"
    assert desk.do("collect", "batch.run", *desk.at_gateway()).code == 1
    desk.write("ant", "bee", "cat")
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "done"}
    assert len(sim.charges()) == 3
