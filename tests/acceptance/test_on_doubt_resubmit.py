"""`on_doubt: resubmit` with a usage log that can't know: what it doesn't show may be charged all the same."""

from typing import Any

import pytest

from tests.harness.run_directory import let_hours_pass

CUT = {"on": "submit", "do": "cut_after_accept", "prompt": "bee*", "times": 1}
OTHER_KEY = "sk-another-key-of-the-same-user"


def paid_once(desk: Any, sim: Any) -> None:
    """`bee` is charged once, and in doubt."""
    assert len(sim.charges("bee")) == 1
    assert desk.states()["bee"] == "in_doubt"


def test_a_log_that_is_switched_off_proves_nothing(desk: Any, sim: Any) -> None:
    """It answers 200 without rows: the doubt is not paid again, and the run says why."""
    sim.start(CUT, usage_log=False)
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    for _ in range(2):
        done = desk.run()
        desk.check(done, 3)
        paid_once(desk, sim)
    assert "bee is not resubmitted: the usage log is empty" in done.stderr
    assert sim.posts() == 3


@pytest.mark.parametrize("used", [True, False], ids=["used by others", "unused"])
def test_the_log_of_another_key_proves_nothing(desk: Any, sim: Any, used: bool) -> None:
    """Resumed with another key of the same user, whose log lacks what the first one did: not paid again."""
    # Slower than other tests: else the doubt is too old to be awaited on a loaded machine.
    sim.start(CUT, {"on": "usage", "do": "html_502"}, scale=0.01)
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    desk.start_run().reached(1, "unknown").reached(2, "accepted").killed()
    desk.until(sim.settled, "the end of the generations")
    sim.start()
    if used:
        body = {"model": "dreamina-seedance-2-0", "prompt": "somebody else's", "duration": 4}
        sim.ask("/v1/video/generations", body, key=OTHER_KEY)
    done = desk.do("run", "batch.yaml", *desk.at_gateway(), key=OTHER_KEY)
    assert done.code == 3, done.stderr
    paid_once(desk, sim)
    assert "bee is not resubmitted" in done.stderr
    assert ("belongs to another key" if used else "the usage log is empty") in done.stderr
    assert sim.posts() == used
    desk.check(desk.run(), 0, former=["somebody else's"])
    assert len(sim.charges("bee")) == 1


def test_a_gateway_without_request_ids_proves_nothing(desk: Any, sim: Any) -> None:
    """Nothing says that the log's rows are those of our submissions: it stays in doubt, and is sent once."""
    sim.start(CUT | {"do": "cut_before_accept"}, request_ids=False)
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    done = desk.run()
    desk.check(done, 3)
    assert "bee is not resubmitted" in done.stderr
    assert sim.posts() == 3


def test_a_doubt_followed_by_no_acceptance_stays(desk: Any, sim: Any) -> None:
    """The log may have been switched off since: nothing shows that it works still."""
    sim.start(CUT | {"do": "cut_before_accept"})
    desk.write("ant", "bee", on_doubt="resubmit", concurrency=1)
    done = desk.run()
    desk.check(done, 3)
    assert "had no later submission accepted" in done.stderr
    assert sim.posts() == 2


def test_on_doubt_keep_holds_even_if_the_log_proves_no_charge(desk: Any, sim: Any) -> None:
    """A person's word is needed all the same: in doubt, exit 3, and not sent again."""
    sim.start(
        CUT | {"do": "cut_before_accept"},
        {"on": "generate", "do": "slow", "prompt": "cat*", "factor": 20},
    )
    desk.write("ant", "bee", "cat", on_doubt="keep", concurrency=1)
    desk.check(desk.run(), 3)
    assert sim.posts() == 3


LOOKUPS = "/api/usage/token/"


@pytest.mark.parametrize("on_doubt", ["keep", "resubmit"])
def test_a_hold_missing_from_the_log_is_reported(desk: Any, sim: Any, on_doubt: str) -> None:
    """The gateway died with the submission in it and kept its hold: not sent again, and the row says why."""
    sim.start(CUT | {"do": "cut_hold_kept"})
    desk.write("ant", "bee", "cat", on_doubt=on_doubt, concurrency=1)
    done = desk.run()
    desk.check(done, 3)
    held = sim.ask(LOOKUPS)["data"]["total_used"] - sum(one["settled"] for one in sim.charges())
    assert held > 0
    assert f"charged {held:,} quota units that the log doesn't show" in desk.row("bee")["error_message"]
    again = desk.do("resolve", str(desk.directory), "--auto", *desk.at_gateway())
    assert f"{held:,} quota units" in again.stdout
    assert (sim.posts(), sim.charges("bee")) == (3, [])


def test_a_hold_missing_from_an_empty_log_is_reported(desk: Any, sim: Any) -> None:
    """The first submission of all is lost so: the log is empty, and what the key was charged is said."""
    sim.start(CUT | {"do": "cut_hold_kept"})
    desk.write("bee")
    desk.check(desk.run(), 3)
    held = sim.ask(LOOKUPS)["data"]["total_used"]
    assert f"the key was charged {held:,} quota units" in desk.row("bee")["error_message"]
    assert sim.posts() == 1


def test_charges_of_other_programs_on_the_key_are_accounted_for(desk: Any, sim: Any) -> None:
    """A doubt that was never charged, beside another program's tasks and refunds: sent again, paid once."""
    sim.start(
        CUT | {"do": "cut_before_accept"},
        {"on": "generate", "do": "fail", "prompt": "*else's"},
        {"on": "generate", "do": "slow", "prompt": "cat*", "factor": 1.5},
        generation_seconds=1300,  # so that nobody is charged beside the first reading
    )
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    run = desk.start_run().reached(1, "unknown")
    body = {"model": "dreamina-seedance-2-0", "prompt": "somebody else's", "duration": 4}
    sim.ask("/v1/video/generations", body)
    desk.check(run.ended(), 0, former=["somebody else's"])
    assert len(sim.charges("bee")) == 1


def test_a_gateway_without_a_usage_meter_changes_nothing(desk: Any, sim: Any, relay: Any) -> None:
    """Neither route nor number: a doubt that the log proves not to be charged is submitted again."""
    sim.start(CUT | {"do": "cut_before_accept"})
    relay.rule("meter", relay.says(404, {"error": {"message": "Invalid URL"}}))
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    desk.check(desk.run("--base-url", relay.url), 0)
    assert relay.count("meter") == 1
    assert len(sim.charges("bee")) == 1


HELD = CUT | {"do": "cut_hold_kept"}
SLOW_CAT = {"on": "generate", "do": "slow", "prompt": "cat*", "factor": 60}


def held_back(desk: Any, sim: Any) -> None:
    """`bee`'s hold was taken, nothing else was charged for it, and it is in doubt."""
    assert desk.states()["bee"] == "in_doubt"
    assert sim.charges("bee") == []


@pytest.mark.parametrize("answer", ["500", "refused"])
@pytest.mark.parametrize("nth", [1, 2, 4], ids=["first", "before the log", "after the log"])
def test_without_a_meter_reading_an_empty_log_proves_nothing(
    desk: Any, sim: Any, nth: int, answer: str
) -> None:
    """One odd answer to a reading of the used quota: the doubt whose hold was kept is not paid again."""
    sim.start(HELD, SLOW_CAT, {"on": "usage", "do": answer, "nth": nth})
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    desk.check(desk.run(), 3)
    held_back(desk, sim)


def test_the_first_reading_of_a_killed_process_is_kept(desk: Any, sim: Any) -> None:
    """Killed before the first look, and resumed: what was charged since that process began is known."""
    sim.start(HELD, SLOW_CAT)
    desk.write("ant", "bee", "cat", "dog", on_doubt="resubmit", concurrency=1)
    desk.start_run().reached(1, "unknown").reached(2, "accepted").killed()
    desk.check(desk.run(), 3)
    held_back(desk, sim)
    assert "quota units that the log doesn't show" in desk.row("bee")["error_message"]


@pytest.mark.parametrize(
    "fault",
    [{"on": "usage", "do": "429", "seconds": 1200}, {"on": "usage", "do": "html_502"}],
    ids=["used up", "unreadable"],
)
def test_resubmit_waits_for_a_readable_log(desk: Any, sim: Any, fault: dict[str, Any]) -> None:
    """A log that can't be read has not shown that the task is not there: it stays in doubt, paid once."""
    sim.start(CUT)
    desk.write("bee", on_doubt="resubmit")
    desk.start_run().reached(1, "unknown").killed()
    desk.until(sim.settled, "the end of the generation")
    let_hours_pass(desk.directory)
    sim.start(fault)
    desk.check(desk.run(), 3)
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 1


@pytest.mark.parametrize("command", ["--only", "removed"])
def test_resubmit_concerns_only_tasks_of_this_run(desk: Any, sim: Any, command: str) -> None:
    """A doubt that is not selected, or has left the manifest, is not declared lost: it is found later."""
    sim.start(CUT, {"on": "usage", "do": "html_502"})
    desk.write("ant", "bee", on_doubt="resubmit")
    desk.start_run().reached(1, "unknown").killed()
    desk.until(sim.settled, "the end of the generation")
    let_hours_pass(desk.directory)
    if command == "removed":
        desk.write("ant", on_doubt="resubmit")
    desk.run(*(["--only", "ant"] if command == "--only" else []))
    sim.start()
    desk.write("ant", "bee", on_doubt="resubmit")
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 1


def test_an_adopted_task_explains_no_row_of_another_model(desk: Any, sim: Any) -> None:
    """Charged within the same second, one found and one still generating: the latter is not paid again."""
    sim.start(
        CUT | {"prompt": "cat*"},
        CUT,
        {"on": "generate", "do": "slow", "prompt": "bee*", "factor": 100},
    )
    cat = {"id": "cat", "prompt": "cat walks along the shore", "model": "dreamina-seedance-2-0"}
    desk.write(cat, "bee", "ant", on_doubt="resubmit", concurrency=1)
    done = desk.run()
    desk.check(done, 3)
    assert desk.states() == {"cat": "done", "bee": "in_doubt", "ant": "done"}
    assert "it may have been charged" in desk.row("bee")["error_message"]
    assert len(sim.charges("bee")) == sim.posts() - 2 == 1


def test_a_run_that_begins_with_generations_reads_the_meter_before_it_submits(desk: Any, sim: Any) -> None:
    """Nothing is pending at its start; its retry of a failed generation loses its answer: not paid again."""
    sim.start(
        {"on": "generate", "do": "fail", "first": 2},
        {"on": "submit", "do": "cut_hold_kept", "nth": 3},
        generation_seconds=600,
    )
    desk.write("ant", "bee", on_doubt="resubmit", max_attempts=5, concurrency=2)
    desk.start_run().reached(2, "accepted").killed()
    desk.check(desk.run(), 3)
    (doubt,) = [row for row in desk.rows() if row["state"] == "in_doubt"]
    assert "its key's used quota is ahead of the log" in doubt["error_message"]
    assert sim.posts() == 4
