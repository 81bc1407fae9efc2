"""What a later run makes of what an earlier one left: first ideas that would pay twice or lose a video."""

import sqlite3
from contextlib import closing
from typing import Any

import pytest

GONE = {"code": "task_not_exist", "message": "task_not_exist", "data": None}
CUT = {"on": "submit", "do": "cut_after_accept", "prompt": "bee*", "times": 1}


def hours_pass(desk: Any) -> None:
    """Make everything that was submitted look as if it had been hours ago, at the simulator's pace."""
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite")) as db, db:
        db.execute("UPDATE attempts SET submitted_at = submitted_at - 10, accepted_at = accepted_at - 10")


def twin(task_id: str, **metadata: Any) -> dict[str, Any]:
    """One of several equal requests."""
    return {"id": task_id, "prompt": "twin walks", "metadata": {"generate_audio": False} | metadata}


@pytest.mark.parametrize(
    "left", [{"execution_expires_after": 7200}, {"seed": 5, "generate_audio": False}], ids=["policy", "order"]
)
def test_a_twin_written_otherwise_is_still_the_one_that_was_made(
    desk: Any, sim: Any, left: dict[str, Any]
) -> None:
    """What is not in the fingerprint, or stands in another order, makes no new task of what is left."""
    sim.start()
    seed = {"seed": 5} if "seed" in left else {}
    desk.write(twin("first", **seed), twin("second", **seed))
    assert desk.run("--only", "second").code == 0
    rest = {"id": "second", "prompt": "twin walks", "metadata": {**left, "generate_audio": False}}
    for _ in range(2):
        desk.write(rest)
        assert desk.run().code == 0
    assert len(sim.charges("twin")) == 1


def test_a_generation_that_failed_between_two_runs_is_tried_once_more(desk: Any, sim: Any) -> None:
    """Taken up and found failed while the run still opens, its task is submitted once, not twice."""
    sim.start({"on": "generate", "do": "fail", "prompt": "bee*", "times": 1})
    desk.write("bee")
    desk.start_run().reached(1, "accepted").killed()
    desk.until(sim.settled, "the failure")
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 2


@pytest.mark.parametrize(
    "fault",
    [{"on": "usage", "do": "429", "seconds": 1200}, {"on": "usage", "do": "html_502"}],
    ids=["used up", "unreadable"],
)
def test_resubmit_waits_for_a_look_that_could_see_something(
    desk: Any, sim: Any, fault: dict[str, Any]
) -> None:
    """A log that can't be read has not shown that the task is not there: it stays in doubt, paid once."""
    sim.start(CUT)
    desk.write("bee", on_doubt="resubmit")
    desk.start_run().reached(1, "unknown").killed()
    desk.until(sim.settled, "the end of the generation")
    hours_pass(desk)
    sim.start(fault)
    desk.check(desk.run(), 3)
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 1


@pytest.mark.parametrize("command", ["--only", "removed"])
def test_resubmit_concerns_what_this_run_wants(desk: Any, sim: Any, command: str) -> None:
    """A doubt that is not selected, or has left the manifest, is not declared lost: it is found later."""
    sim.start(CUT, {"on": "usage", "do": "html_502"})
    desk.write("ant", "bee", on_doubt="resubmit")
    desk.start_run().reached(1, "unknown").killed()
    desk.until(sim.settled, "the end of the generation")
    hours_pass(desk)
    if command == "removed":
        desk.write("ant", on_doubt="resubmit")
    desk.run(*(["--only", "ant"] if command == "--only" else []))
    sim.start()
    desk.write("ant", "bee", on_doubt="resubmit")
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 1


def test_a_task_that_vanished_long_ago_comes_to_an_end(desk: Any, sim: Any) -> None:
    """Over its deadline when the next run takes it up: it is asked about until it is sure to be gone."""
    sim.start()
    desk.write("ant", "bee")
    desk.start_run().reached(2, "accepted").killed()
    desk.until(lambda: len(sim.charges()) == 2, "both charges")
    hours_pass(desk)
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"})
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed"}


def test_collect_looks_at_what_vanished_and_leaves_no_trap(desk: Any, sim: Any) -> None:
    """Still not there, it is failed as before; the runs after that go on, and accuse no key."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 20}
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


def test_the_key_of_another_account_forgets_nothing_and_pays_nothing(desk: Any, sim: Any, relay: Any) -> None:
    """It sees none of our tasks: exit 4 before any POST, and what was adopted stays adopted."""
    sim.start(CUT)
    desk.write("bee", "ant")
    desk.start_run("--base-url", relay.url).reached(1, "unknown").reached(1, "accepted").killed()
    desk.until(sim.settled, "both ends")
    looked_up = ("resolve", "batch.run", "--auto", *desk.at_gateway(relay.url))
    assert desk.do(*looked_up).code == 0
    relay.rule("poll", relay.says(400, GONE))
    desk.write("bee", "ant", "cat", "dog")
    assert desk.run("--base-url", relay.url).code == 4
    assert len(sim.charges()) == 2
    assert desk.states()["bee"] == "generating"
    relay.clear()
    desk.check(desk.run("--base-url", relay.url), 0)
    assert [len(sim.charges(name)) for name in ("ant", "bee", "cat", "dog")] == [1, 1, 1, 1]


def test_what_was_adopted_is_no_sign_that_another_doubt_was_charged(desk: Any, sim: Any) -> None:
    """The one row in the log is the adopted one's: of the other doubt the log shows nothing."""
    never = {"on": "submit", "do": "cut_before_accept", "prompt": "cat*", "times": 1}
    sim.start(CUT, never)
    desk.write("bee", "cat")
    desk.check(desk.run(), 3)
    assert desk.states() == {"bee": "done", "cat": "in_doubt"}
    assert "no submission that could be it" in desk.row("cat")["error_message"]


def test_a_run_that_begins_in_an_outage_waits_for_its_end(desk: Any, sim: Any) -> None:
    """Something answers in the gateway's place for a quarter of an hour: the night is not lost."""
    sim.start({"on": "models", "do": "html_502", "times": 15})
    desk.write("ant")
    desk.check(desk.run(), 0)
    assert sim.requests()["GET /v1/models"] == 16


def test_a_look_up_of_one_task_wants_one_that_is_in_doubt(desk: Any, sim: Any) -> None:
    """`resolve DIR ID --auto` says what is wrong with a name that is no doubt's, and finds one that is."""
    sim.start(CUT, usage_log=False)
    desk.write("ant", "bee")
    desk.check(desk.run(), 3)
    sim.start()
    auto = ("--auto", *desk.at_gateway())
    assert desk.do("resolve", "batch.run", "ant", *auto).code == 2
    assert desk.do("resolve", "batch.run", "nobody", *auto).code == 2
    assert desk.do("resolve", "batch.run", "bee", *auto).code == 0
    desk.check(desk.run(), 0)
