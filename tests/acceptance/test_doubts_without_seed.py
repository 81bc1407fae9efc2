"""Doubts that no seed settles: failed generations, and logs that name a task before it has a seed."""

from typing import Any

CUT = {"on": "submit", "do": "cut_after_accept", "prompt": "bee*"}
FAIL = {"on": "generate", "do": "fail", "prompt": "bee*"}
SLOW = {"on": "generate", "do": "slow", "prompt": "bee*", "factor": 25}
LOOKS = "GET /api/log/token"


def test_a_doubt_whose_generation_failed_is_found_by_its_rows(desk: Any, sim: Any) -> None:
    """One submission, one failure, one refund: it is failed under its id, and costs nothing."""
    sim.start(CUT, FAIL)
    desk.write("ant", "bee", max_attempts=1)
    done = desk.run()
    desk.check(done, 1)
    row, (charge,) = desk.row("bee"), sim.charges("bee")
    assert (row["state"], row["remote_id"]) == ("failed", charge["remote_id"])
    assert (row["tokens"], float(row["cost"])) == ("0", 0.0)
    assert "unknown cost" not in done.stdout
    assert sim.posts() == 2


def test_a_generation_ended_by_the_gateways_timeout_costs_nothing(desk: Any, sim: Any) -> None:
    """It shows a quota of 0: tokens and cost are 0, and no attempt is of unknown cost."""
    sim.start({"on": "generate", "do": "timeout_24h", "prompt": "bee*"}, timeout_seconds=200)
    desk.write("ant", "bee", max_attempts=1)
    done = desk.run()
    desk.check(done, 1)
    assert (desk.row("bee")["tokens"], float(desk.row("bee")["cost"])) == ("0", 0.0)
    assert "unknown cost" not in done.stdout


def test_two_failures_that_may_be_either_are_named_with_their_ids(desk: Any, sim: Any) -> None:
    """Nobody can say which is which: both stay in doubt, and `resolve` lists id, time, model and status."""
    sim.start(CUT, FAIL)
    desk.write("ant", "bee", "bees", max_attempts=1)
    desk.check(desk.run(), 3)
    assert [desk.states()[name] for name in ("bee", "bees")] == ["in_doubt"] * 2
    ids = {charge["remote_id"] for charge in sim.charges() if charge["prompt"].startswith("bee")}
    listed = desk.do("resolve", "batch.run", "--json").json
    assert [{one["remote_id"] for one in task["candidates"]} for task in listed] == [ids, ids]
    assert {one["status"] for task in listed for one in task["candidates"]} == {"FAILURE"}
    shown = desk.do("resolve", "batch.run").stdout
    assert all(shown.count(f"may be {remote_id}") == 2 for remote_id in ids)
    assert "dreamina-seedance-2-0-fast  FAILURE" in shown


def test_a_log_that_names_a_task_before_it_has_a_seed_is_looked_at_again(desk: Any, sim: Any) -> None:
    """The first look meets it while it generates; a later one of the same run adopts it."""
    sim.start(CUT, SLOW, log_names_task=True)
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    assert sim.requests()[LOOKS] > 1, sim.charges("bee")
    assert desk.row("bee")["remote_id"] == sim.charges("bee")[0]["remote_id"]
    assert sim.posts() == 2


def test_resolve_names_a_task_that_is_still_generating(desk: Any, sim: Any) -> None:
    """Killed before it ended: what the log names is a candidate, in the gateway's word."""
    sim.start(CUT, SLOW | {"factor": 9000}, log_names_task=True)
    desk.write("bee")
    desk.start_run().reached(1, "unknown").killed()
    scale = ("--time-scale", str(sim.scale))
    assert desk.do("resolve", "batch.run", "--auto", *scale).code == 3
    (task,) = desk.do("resolve", "batch.run", "--json").json
    (charge,) = sim.charges()
    assert [one["remote_id"] for one in task["candidates"]] == [charge["remote_id"]]
    assert task["candidates"][0]["status"] not in ("", "SUCCESS", "FAILURE")
