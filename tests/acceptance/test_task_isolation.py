"""One task's or one model's trouble stays its own: the others are made meanwhile."""

from collections import Counter
from datetime import datetime
from typing import Any

import pytest

FAST, SLOW = "dreamina-seedance-2-0-fast", "dreamina-seedance-2-0"
GOOD = tuple(f"t{number}" for number in range(12))


def fault(do: str, prompt: str, **conditions: Any) -> dict[str, Any]:
    """A submission fault for the tasks whose prompts match."""
    return {"on": "submit", "do": do, "prompt": prompt} | conditions


def slow(task_id: str) -> dict[str, str]:
    """A task of the other model."""
    return {"id": task_id, "prompt": f"{task_id} of the other model", "model": SLOW}


def tries(desk: Any) -> Counter[str]:
    """How many submissions each task had, by id."""
    return Counter({row["id"]: int(row["attempts"]) for row in desk.rows()})


@pytest.mark.parametrize(
    ("do", "extra"),
    [
        ("500_refunded", {"code": "fail_to_fetch_task"}),
        ("500_refunded", {"code": "get_channel_failed"}),
        ("500_refunded", {"code": "do_request_failed"}),
        ("429", {}),
        ("429_empty", {}),
    ],
)
def test_a_task_that_is_refused_each_time_fails_and_holds_nobody_up(
    desk: Any, sim: Any, do: str, extra: dict[str, str]
) -> None:
    """The first task of the plan is refused at every try: the others are made, it fails after a few."""
    sim.start(fault(do, "bad *", **extra))
    desk.write("bad", *GOOD, concurrency=2)
    command = desk.start_run()
    desk.check(command.ended(), 1)
    assert desk.states() == {"bad": "failed"} | dict.fromkeys(GOOD, "done")
    row = desk.row("bad")
    assert 3 <= int(row["attempts"]) <= 10
    assert row["error_code"] or row["error_message"]
    assert sim.posts() == len(GOOD) + int(row["attempts"])
    order = [line["id"] for line in command.events("accepted", "not_admitted")]
    assert order[:2] != ["bad", "bad"], "others go before its second try"


def test_two_tasks_that_are_always_refused_both_fail(desk: Any, sim: Any) -> None:
    """When only refused tasks are left, each is judged by what it was answered while others were accepted."""
    sim.start(fault("500_refunded", "bad*", code="fail_to_fetch_task"))
    desk.write("bad1", "bad2", *GOOD, concurrency=2)
    desk.check(desk.run(), 1)
    assert desk.states() == dict.fromkeys(("bad1", "bad2"), "failed") | dict.fromkeys(GOOD, "done")


@pytest.mark.parametrize("code", ["fail_to_fetch_task", "do_request_failed"])
def test_no_task_fails_while_none_is_accepted(desk: Any, sim: Any, code: str) -> None:
    """Every submission is refused for an hour: the gateway's trouble; exit 75, all tasks pending."""
    sim.start({"on": "submit", "do": "500_refunded", "code": code}, scale=0.0005)
    desk.write(*GOOD[:4])
    desk.check(desk.run(), 75)
    assert set(desk.states().values()) == {"pending"}
    assert sim.charges() == []


def test_an_outage_after_the_first_videos_fails_no_task(desk: Any, sim: Any) -> None:
    """Refusals of everybody say nothing about a task, also where some were accepted before."""
    sim.start({"on": "submit", "do": "500_refunded", "code": "get_channel_failed", "prompt": "late*"})
    desk.write("ant", "bee", *(f"late{number}" for number in range(4)), concurrency=2)
    desk.check(desk.run(), 75)
    assert Counter(desk.states().values()) == {"done": 2, "pending": 4}


def test_refusals_of_a_task_count_in_the_next_run(desk: Any, sim: Any) -> None:
    """A task that was refused while others were accepted does not start from zero the next night."""
    sim.start(fault("500_refunded", "bad *", code="fail_to_fetch_task"), generation_seconds=300)
    desk.write("bad", *GOOD, concurrency=2)
    command = desk.start_run().reached(3, "not_admitted")
    command.killed()
    before = len([line for line in command.events("not_admitted") if line["id"] == "bad"])
    desk.run()
    assert desk.row("bad")["state"] == "failed"
    assert int(desk.row("bad")["attempts"]) <= before + 5


def test_a_task_that_is_refused_for_a_while_is_made(desk: Any, sim: Any) -> None:
    """Two refusals are nothing that a person has to look at."""
    sim.start(fault("500_refunded", "bad *", code="fail_to_fetch_task", times=2))
    desk.write("bad", *GOOD, concurrency=2)
    desk.check(desk.run(), 0)
    assert desk.row("bad")["attempts"] == "3"
    assert desk.row("bad")["error_code"] == ""


def test_a_model_that_the_key_may_not_use_stops_no_other(desk: Any, sim: Any) -> None:
    """403 for one model: its tasks stay pending with the gateway's words, the others are made; exit 4."""
    sim.start(keys={desk.key: {"models": [FAST]}})
    denied = tuple(f"d{number}" for number in range(5))
    desk.write(*(slow(name) for name in denied), *GOOD, concurrency=2)
    done = desk.run()
    desk.check(done, 4)
    assert desk.states() == dict.fromkeys(denied, "pending") | dict.fromkeys(GOOD, "done")
    assert all("no access to model" in desk.row(name)["error_message"] for name in denied)
    assert sim.posts() - len(GOOD) <= 3
    assert SLOW in done.stdout
    sim.start()
    desk.check(desk.run(), 0)
    assert desk.row("d0")["error_message"] == ""


def test_a_run_with_only_a_forbidden_model_makes_one_post(desk: Any, sim: Any) -> None:
    """Not each of its tasks is submitted; exit 4 soon, with the words in every row."""
    sim.start(keys={desk.key: {"models": [FAST]}})
    desk.write(*(slow(name) for name in GOOD), concurrency=8)
    desk.check(desk.run(), 4)
    assert set(desk.states().values()) == {"pending"}
    assert all("no access to model" in row["error_message"] for row in desk.rows())
    assert sim.posts() == 1


def test_a_refused_model_is_tried_every_five_minutes_while_others_work(desk: Any, sim: Any) -> None:
    """Access that is given during the night is found: the model's tasks are made after all."""
    sim.start(fault("403_model", "d*", times=3), generation_seconds=400)
    desk.write(slow("d1"), slow("d2"), *GOOD, concurrency=2)
    command = desk.start_run()
    desk.check(command.ended(), 0)
    moments = [datetime.fromisoformat(line["at"]) for line in command.events("account_refused")]
    first, last = moments[0], moments[-1]
    assert len(moments) == 3, "two were in the air together"
    assert (last - first).total_seconds() > 0.9 * 300 * sim.scale


def test_a_429_for_one_model_holds_up_no_other(desk: Any, sim: Any) -> None:
    """While another model is accepted the pause is the throttled model's alone."""
    sim.start(fault("429", "s*", times=3))
    desk.write("first", slow("s1"), slow("s2"), *GOOD, concurrency=2)
    command = desk.start_run()
    desk.check(command.ended(), 0)
    accepted = [line["id"] for line in command.events("accepted")]
    assert accepted.index("t0") < accepted.index("s1"), "another model is tried before it again"


def test_a_429_with_retry_after_pauses_the_account(desk: Any, sim: Any) -> None:
    """Whoever says for how long means the account: no model is tried before."""
    sim.start(fault("429_retry_after", "s*", times=1, seconds=1200))
    desk.write("first", slow("s1"), *GOOD, concurrency=1)
    command = desk.start_run()
    desk.check(command.ended(), 0)
    (refused,) = (datetime.fromisoformat(line["at"]) for line in command.events("not_admitted"))
    claims = [datetime.fromisoformat(line["at"]) for line in command.events("claimed")]
    after = min(claim for claim in claims if claim > refused)
    assert (after - refused).total_seconds() > 0.9 * 1200 * sim.scale


def test_identical_rejections_stop_the_run_after_a_probe_elsewhere(desk: Any, sim: Any) -> None:
    """A mistake in all tasks: ten different prompts, one more as a probe, then exit 1."""
    sim.start({"on": "submit", "do": "400"})
    desk.write(*(f"t{number}" for number in range(40)), concurrency=1)
    done = desk.run()
    assert done.code == 1, "not 75: a person must act"
    assert sim.posts() == 11
    assert Counter(desk.states().values()) == {"failed": 11, "pending": 29}
    assert desk.states()["t39"] == "failed", "the probe is the task furthest away"
    assert "same error" in done.stdout


def test_identical_rejections_in_one_place_do_not_stop_the_others(desk: Any, sim: Any) -> None:
    """Fifteen bad prompts in a row, then good ones: a probe shows that the rest may go on."""
    sim.start(fault("400", "bad*"))
    bad = tuple(f"bad{number}" for number in range(15))
    desk.write(*bad, *GOOD, concurrency=1)
    desk.check(desk.run(), 1)
    assert desk.states() == dict.fromkeys(bad, "failed") | dict.fromkeys(GOOD, "done")


def test_replicas_of_one_prompt_count_once(desk: Any, sim: Any) -> None:
    """Twenty copies of a bad prompt are one mistake."""
    sim.start(fault("400", "bad*"))
    desk.write({"id": "bad", "prompt": "bad prompt", "repeat": 20}, *GOOD, concurrency=1)
    desk.planned += 19
    desk.check(desk.run(), 1)
    assert Counter(desk.states().values()) == {"failed": 20, "done": len(GOOD)}
