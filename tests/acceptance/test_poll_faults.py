"""Answers to polls, and ends of generations: never a new POST, and nothing failed by a wrong key."""

from typing import Any

import pytest

from batchrunner.simulator.rules import FAULTS

PASSING = ["500", "html_502", "cut", "429", "hang", "null_data", "unknown_state"]
KEY_REFUSED = ["401", "403_model"]
VANISHED = ["task_not_exist"]
ENDINGS = {
    "fail": ("failed", "InternalServiceError"),
    "moderated": ("failed", "OutputVideoSensitiveContentDetected"),
    "expired": ("failed", "upstream_expired"),
    "timeout_24h": ("failed", "generation_failed"),
    "slow": ("done", ""),
}
TRIED_AGAIN = ["fail", "moderated"]
"""Refunded, and the same request may pass next time: the second attempt is the last."""


def name(fault: str) -> str:
    """The id of the task that a fault befalls."""
    return f"t-{fault.replace('_', '-')}"


def test_every_poll_and_generation_fault_of_the_simulator_has_a_test_here() -> None:
    """A fault that the simulator learns must be given its place in this file."""
    assert sorted(PASSING + KEY_REFUSED + VANISHED) == sorted(FAULTS["poll"])
    assert sorted(ENDINGS) == sorted(FAULTS["generate"])


def test_a_poll_that_says_nothing_is_repeated_until_one_says_something(desk: Any, sim: Any) -> None:
    """5xx, HTML, resets, null data and unknown states mean in progress: polled on, collected, paid once."""
    faults = [{"on": "poll", "do": do, "prompt": f"{name(do)} *", "first": 3} for do in PASSING]
    sim.start(*faults)
    desk.write(*map(name, PASSING))
    desk.check(desk.run(), 0)
    assert sim.posts() == len(PASSING)
    assert all(row["attempts"] == "1" for row in desk.rows())


@pytest.mark.parametrize("do", KEY_REFUSED)
def test_a_key_refused_midway_ends_the_run_and_fails_nothing(desk: Any, sim: Any, do: str) -> None:
    """Exit 4 while tasks generate: they stay so, nothing more is sent, and the next run resumes."""
    sim.start({"on": "poll", "do": do, "nth": list(range(3, 200))}, generation_seconds=300)
    desk.write("ant", "bee", "cat", concurrency=2)
    done = desk.run()
    desk.check(done, 4)
    assert desk.states() == {"ant": "generating", "bee": "generating", "cat": "pending"}
    assert "key" in done.stdout
    assert sim.posts() == 2
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_a_task_that_vanished_while_others_are_seen_is_failed_and_not_sent_again(desk: Any, sim: Any) -> None:
    """task_not_exist counts after several over minutes, for this task alone; exit 1, one POST each."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "cat*", "factor": 60}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long)
    desk.write("ant", "bee", "cat")
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "done"}
    assert desk.row("bee")["error_code"] == "task_not_exist"
    assert desk.row("bee")["remote_id"] == sim.charges("bee")[0]["remote_id"]
    assert sim.posts() == 3


def test_a_task_that_is_invisible_once_or_twice_is_polled_on(desk: Any, sim: Any) -> None:
    """Two answers of task_not_exist prove nothing."""
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*", "first": 2})
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)


def test_a_task_that_vanished_last_is_failed_since_a_finished_one_is_still_seen(desk: Any, sim: Any) -> None:
    """Nothing else is in flight: an earlier task shows that the key is right; exit 1, not 4."""
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"})
    desk.write("ant")
    desk.check(desk.run(), 0)
    desk.write("ant", "bee")
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed"}
    assert sim.posts() == 2


def test_when_no_task_is_visible_it_is_the_wrong_account(desk: Any, sim: Any) -> None:
    """With every task unknown the run ends with exit 4, fails nothing, and resumes with the right key."""
    sim.start({"on": "poll", "do": "task_not_exist"}, generation_seconds=300)
    desk.write("ant", "bee", "cat", concurrency=2)
    desk.check(desk.run(), 4)
    assert desk.states() == {"ant": "generating", "bee": "generating", "cat": "pending"}
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_a_gateway_that_dies_and_comes_back_is_waited_for(desk: Any, sim: Any) -> None:
    """While nobody answers, tasks stay in generation; when the gateway is back all is collected."""
    sim.start(generation_seconds=150)
    desk.write("ant", "bee", "cat", concurrency=2)
    run = desk.start_run().reached(2, "accepted")
    sim.die()
    sim.start()
    desk.check(run.ended(), 0)
    assert len(sim.charges()) == 3


def test_every_end_of_a_generation_stands_in_its_row(desk: Any, sim: Any) -> None:
    """Failed and moderated twice, expired and given up once, are failed with their code; exit 1."""
    faults = [{"on": "generate", "do": do, "prompt": f"{name(do)} *"} for do in ENDINGS]
    sim.start(*faults, scale=0.001, timeout_seconds=2500)
    desk.write("ant", *map(name, ENDINGS))
    done = desk.run()
    desk.check(done, 1)
    told = {row["id"]: (row["state"], row["error_code"]) for row in desk.rows()}
    assert told == {"ant": ("done", "")} | {name(do): end for do, end in ENDINGS.items()}
    assert all(row["error_message"] for row in desk.rows() if row["state"] == "failed")
    assert sim.posts() == len(ENDINGS) + 1 + len(TRIED_AGAIN)
    assert {row["id"] for row in desk.rows() if row["attempts"] == "2"} == set(map(name, TRIED_AGAIN))
    assert desk.row(name("fail"))["tokens"] == "0", "the gateway refunds what the model refused"
    assert desk.row(name("timeout_24h"))["tokens"] == "0", "the gateway shows that it charges nothing"
    assert "retry" in done.stdout
    assert "1 attempt of unknown cost" in done.stdout


def test_a_failed_generation_retried_by_a_person_is_charged_once_more(desk: Any, sim: Any) -> None:
    """`retry` makes the task pending; the next run submits it once, with a seed of its own."""
    sim.start({"on": "generate", "do": "moderated", "prompt": "bee*", "times": 1})
    desk.write("ant", "bee", max_attempts=1)
    desk.check(desk.run(), 1)
    desk.check(desk.run(), 1)
    assert len(sim.charges()) == 2
    seed = desk.row("bee")["seed"]
    assert desk.do("retry", "batch.run", "--failed").code == 0
    assert desk.states() == {"ant": "done", "bee": "pending"}
    desk.check(desk.run(), 0, again={"bee": 1})
    assert len(sim.charges("bee")) == 2
    assert desk.row("bee")["seed"] != seed


def test_a_moderated_generation_is_tried_once_more_with_another_seed(desk: Any, sim: Any) -> None:
    """The first attempt is refunded, the second passes: done, paid once, and no person is asked."""
    sim.start({"on": "generate", "do": "moderated", "prompt": "bee*", "times": 1})
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    first, second = sim.charges("bee")
    assert first["seed"] != second["seed"]
    assert desk.row("bee")["remote_id"] == second["remote_id"]
    assert desk.row("bee")["tokens"] == str(second["tokens"])


@pytest.mark.parametrize(
    ("do", "run"),
    [
        ("fail", {"retry_codes": ["OutputVideoSensitiveContentDetected"]}),
        ("timeout_24h", {"max_attempts": 9}),
    ],
)
def test_a_failure_that_is_not_listed_or_has_no_code_is_not_tried_again(
    desk: Any, sim: Any, do: str, run: dict[str, Any]
) -> None:
    """A code that `retry_codes` doesn't hold, and a FAILURE without one, wait for a person."""
    sim.start({"on": "generate", "do": do, "prompt": "bee*"}, timeout_seconds=500)
    desk.write("ant", "bee", **run)
    desk.check(desk.run(), 1)
    assert len(sim.charges("bee")) == 1


def test_a_task_over_its_deadline_gives_its_slot_back_and_stays_paid_for(desk: Any, sim: Any) -> None:
    """A task that takes too long does not hold the next one up, and a later run takes it up again."""
    sim.start({"on": "generate", "do": "slow", "prompt": "bee*", "factor": 150})
    desk.write("bee", "cat", concurrency=1, task_deadline=100)
    desk.check(desk.run(), 75)
    assert desk.states() == {"bee": "generating", "cat": "done"}
    desk.write("bee", "cat", concurrency=1)
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2
