"""Every answer to a POST that the simulator gives: what is charged, what the row says, how the run ends."""

from datetime import datetime
from typing import Any

import pytest

from batchrunner.simulator.rules import FAULTS

UNKNOWN_CHARGED = ["cut_after_accept", "html_502_after_accept", "broken_json_after_accept"]
UNKNOWN_CHARGED += ["no_id_after_accept", "hang_after_accept"]
UNKNOWN_FREE = ["cut_before_accept", "cut_hold_kept", "html_502", "500_html", "redirect"]
ACCEPTED = ["task_id_only", "slow_accept"]
THROTTLED = ["429", "429_retry_after", "429_empty"]
REFUSED = ["401", "402", "403_model", "403_quota", "403_token_quota", "403_html"]
OTHERS = ["400", "503_model", "500_refunded"]
PROBE_INTERVAL = 300.0


def fault(do: str, **conditions: Any) -> dict[str, Any]:
    """The fault befalls the submissions of `bee`, unless told otherwise."""
    return {"on": "submit", "do": do, "prompt": "bee*"} | conditions


def at(line: dict[str, Any]) -> float:
    """When a line was written to run.log, in Unix seconds."""
    return datetime.fromisoformat(line["at"]).timestamp()


def test_every_submit_fault_of_the_simulator_has_a_test_here() -> None:
    """A fault that the simulator learns must be given its place in this file."""
    tested = UNKNOWN_CHARGED + UNKNOWN_FREE + ACCEPTED + THROTTLED + REFUSED + OTHERS
    assert sorted(tested) == sorted(FAULTS["submit"])


@pytest.mark.parametrize("do", UNKNOWN_CHARGED + UNKNOWN_FREE)
def test_an_answer_that_says_nothing_leaves_a_doubt_and_the_others_go_on(
    desk: Any, sim: Any, do: str
) -> None:
    """Whether it was charged or not, the task is in doubt, is sent once only, and the run exits 3."""
    sim.start(fault(do), usage_log=False)
    desk.write("ant", "bee", "cat", concurrency=1, submit_timeout=1.5)
    done = desk.run()
    desk.check(done, 3)
    assert desk.states() == {"ant": "done", "bee": "in_doubt", "cat": "done"}
    assert len(sim.charges("bee")) == (do in UNKNOWN_CHARGED)
    assert sim.posts() == 3
    row = desk.row("bee")
    assert (row["remote_id"], row["attempts"]) == ("", "1")
    assert row["error_code"] or row["error_message"]
    assert "bee" in done.stdout


def test_an_acceptance_in_an_unusual_form_is_an_acceptance(desk: Any, sim: Any) -> None:
    """An answer with a task_id alone, or one that takes its time, is polled and collected like any other."""
    sim.start(*({"on": "submit", "do": do, "prompt": f"t{number} *"} for number, do in enumerate(ACCEPTED)))
    desk.write("ant", *(f"t{number}" for number in range(len(ACCEPTED))))
    desk.check(desk.run(), 0)
    assert sim.posts() == 1 + len(ACCEPTED)


@pytest.mark.parametrize("do", THROTTLED)
def test_a_429_in_any_shape_is_retried_after_a_pause(desk: Any, sim: Any, do: str) -> None:
    """A throttled submission costs nothing and is accepted later; Retry-After is waited for."""
    after = {"seconds": 60} if do == "429_retry_after" else {}
    sim.start(fault(do, times=2, **after))
    desk.write("ant", "bee", "cat", concurrency=2)
    command = desk.start_run()
    desk.check(command.ended(), 0)
    assert desk.row("bee")["attempts"] == "3"
    assert desk.row("bee")["error_code"] == ""
    assert sim.posts() == 5
    if after:
        refused = [at(line) for line in command.events("not_admitted")]
        claimed = [at(line) for line in command.events("claimed")]
        for moment in refused:
            assert min(claim for claim in claimed if claim > moment) - moment > 0.95 * 60 * sim.scale


def test_an_hour_of_429_ends_the_run_unfinished(desk: Any, sim: Any) -> None:
    """With nothing accepted and nothing in flight for an hour the run gives up: exit 75, nothing charged."""
    sim.start({"on": "submit", "do": "429"}, scale=0.0005)
    desk.write("ant", "bee")
    desk.check(desk.run(), 75)
    assert desk.states() == {"ant": "pending", "bee": "pending"}
    assert sim.charges() == []


@pytest.mark.parametrize("do", REFUSED)
def test_a_refused_account_stops_submission_and_exits_4(desk: Any, sim: Any, do: str) -> None:
    """What is paid for is collected, the rest stays pending; mended, the same command makes it."""
    sim.start(fault(do, times=1))
    desk.write("ant", "bee", "cat", concurrency=1)
    done = desk.run()
    desk.check(done, 4)
    assert desk.states() == {"ant": "done", "bee": "pending", "cat": "pending"}
    assert "stopped:" in done.stdout
    assert "hint:" in done.stdout
    assert "next " not in done.stdout, "what to do stands in the hint"
    names_the_key = "EASYROUTER_API_KEY" in done.stdout
    assert names_the_key == (do in ("401", "403_model")), "where the refused key came from"
    assert (len(sim.charges()), sim.posts()) == (1, 2)
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_a_balance_refused_while_others_are_in_flight_is_tried_after_they_settle(desk: Any, sim: Any) -> None:
    """Holds are larger than prices: the refused task goes once another has ended, and the run exits 0."""
    sim.start(fault("403_quota", times=1), generation_seconds=60)
    desk.write("ant", "bee", concurrency=2)
    command = desk.start_run()
    desk.check(command.ended(), 0)
    told = [(line["id"], line["event"]) for line in command.events("accepted", "succeeded")]
    assert told.index(("ant", "succeeded")) < told.index(("bee", "accepted"))
    assert desk.row("bee")["attempts"] == "2"


def test_a_balance_that_runs_out_stops_at_the_last_task_it_reaches_for(desk: Any, sim: Any) -> None:
    """A real balance pays what it can; then exit 4, and after topping up the rest follows."""
    sim.start(balance=900_000)
    desk.write("ant", "bee", "cat", concurrency=3)
    desk.check(desk.run(), 4)
    assert desk.states() == {"ant": "done", "bee": "done", "cat": "pending"}
    sim.start(balance=9_000_000)
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_a_model_without_a_channel_waits_while_the_other_model_goes_on(desk: Any, sim: Any) -> None:
    """503 model_not_found holds back this model's tasks alone, and costs nothing."""
    sim.start(fault("503_model", times=3))
    other = {"id": "bee", "prompt": "bee of another model", "model": "dreamina-seedance-2-0"}
    desk.write("ant", other, "cat", concurrency=1)
    desk.check(desk.run(), 0)
    assert [charge["prompt"].partition(" ")[0] for charge in sim.charges()] == ["ant", "cat", "bee"]
    assert desk.row("bee")["attempts"] == "4"


def test_a_submission_that_the_gateway_takes_back_is_sent_twice_more_and_then_failed(
    desk: Any, sim: Any
) -> None:
    """do_request_failed is refunded: two further tries, then the task waits for a person, exit 1."""
    sim.start(fault("500_refunded"))
    desk.write("ant", "bee", "cat", concurrency=1)
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "done"}
    row = desk.row("bee")
    assert (row["attempts"], row["error_code"]) == ("3", "do_request_failed")
    assert (len(sim.charges("bee")), sim.posts()) == (0, 5)
    desk.check(desk.run(), 1)
    assert sim.posts() == 5, "a failed task waits for a person"

    assert desk.do("retry", "batch.run", "bee").code == 0
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 1


def test_a_submission_taken_back_once_is_accepted_at_the_next_try(desk: Any, sim: Any) -> None:
    """One refunded submission is nothing that a person has to look at."""
    sim.start(fault("500_refunded", times=1))
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    assert desk.row("bee")["attempts"] == "2"


def test_a_request_that_the_model_refuses_is_failed_with_its_code(desk: Any, sim: Any) -> None:
    """A moderated prompt fails at once with the upstream's code, unpaid, and the others go on."""
    sim.start()
    desk.write("ant", {"id": "bee", "prompt": "ark:inputmod"}, "cat", concurrency=1)
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "done"}
    row = desk.row("bee")
    assert (row["error_code"], row["attempts"]) == ("InputTextSensitiveContentDetected", "1")
    assert sim.posts() == 3


def test_an_outage_leaves_at_most_max_in_doubt_and_then_one_probe_every_five_minutes(
    desk: Any, sim: Any
) -> None:
    """While every answer is a 502 few submissions are risked; when it is over the run goes on by itself."""
    sim.start({"on": "submit", "do": "html_502_after_accept", "first": 5}, usage_log=False)
    desk.write(*(f"t{number}" for number in range(8)), concurrency=8, max_in_doubt=4)
    command = desk.start_run()
    desk.check(command.ended(), 3)
    unknown = [at(line) for line in command.events("unknown")]
    assert len(unknown) == 5
    early = [moment for moment in unknown if moment - unknown[0] < 0.9 * PROBE_INTERVAL * sim.scale]
    assert len(early) <= 4
    assert sorted(desk.states().values()) == ["done"] * 3 + ["in_doubt"] * 5
    assert len(sim.charges()) == 8


def test_a_gateway_that_never_answers_gets_at_most_max_in_doubt_submissions_at_once(
    desk: Any, sim: Any
) -> None:
    """However many slots there are, no more submissions are without an answer than may be in doubt."""
    sim.start({"on": "submit", "do": "hang_after_accept"}, scale=0.02, usage_log=False)
    desk.write(*(f"t{number}" for number in range(8)), concurrency=8, max_in_doubt=3, submit_timeout=0.5)
    command = desk.start_run().reached(3, "unknown")
    assert len(sim.charges()) == 3
    command.killed()
    sim.start(scale=0.002, usage_log=False)
    done = desk.run()
    desk.check(done, 3)
    assert sorted(desk.states().values()) == ["done"] * 5 + ["in_doubt"] * 3
