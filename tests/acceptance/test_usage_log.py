"""What stands in the usage log, and what may be wrong with it: other programs' tasks, limits, faults."""

from typing import Any

import pytest

from tests.harness.run_directory import update_ledger

CUT = {"on": "submit", "do": "cut_before_accept", "prompt": "bee*"}
CHARGED = CUT | {"do": "cut_after_accept"}
ALONG = "walks along the shore"
SEED = 77
BEE = {"id": "bee", "prompt": f"bee {ALONG}", "metadata": {"seed": SEED}}
LOOKS = "GET /api/log/token"
FAILED_LOOKS = [
    {"do": "html_502"},
    {"do": "html_502", "status": 503, "body": "empty"},
    {"do": "500"},
    {"do": "cut"},
    {"do": "refused"},
    {"do": "429", "seconds": 1},
]
UNREADABLE = [
    (401, {"success": False, "message": "Invalid token"}),
    (403, "<html>no</html>"),
    (404, {"error": {"message": "Invalid URL", "type": "invalid_request_error"}}),
    (200, "<html>hello</html>"),
    (200, {"success": True, "data": None}),
    (200, {"success": True, "data": [None, 7, {"other": "{"}]}),
]
FAST = "dreamina-seedance-2-0-fast"


def foreign(prompt: str, seed: int = SEED, **changes: Any) -> dict[str, Any]:
    """What another program on the same key sends; like `bee` but for the changes."""
    length = changes.pop("duration", 4)
    metadata = {"resolution": "480p", "ratio": "16:9", "seed": seed, "duration": length}
    body = {"model": FAST, "prompt": prompt, "duration": length, "seconds": str(length)}
    return body | {"metadata": metadata | changes.pop("metadata", {})} | changes


def post(sim: Any, *bodies: dict[str, Any]) -> list[str]:
    """Submit these beside the run; return their prompts."""
    for body in bodies:
        sim.ask("/v1/video/generations", body)
    return [body["prompt"] for body in bodies]


def submitted_earlier(desk: Any, seconds: float) -> None:
    """Let the ledger say that every submission left so much earlier."""
    update_ledger(desk.directory, "attempts SET submitted_at = submitted_at - ?", seconds)


def in_doubt(desk: Any, sim: Any, fault: dict[str, Any], **scenario: Any) -> None:
    """Kill a run once `bee`, whose seed is given, is in doubt."""
    sim.start(fault, **scenario)
    desk.write(BEE)
    desk.start_run().reached(1, "unknown").killed()


@pytest.mark.parametrize(
    ("changes", "earlier"),
    [
        ({"duration": 5}, 0),
        ({"metadata": {"resolution": "720p"}}, 0),
        ({"model": "dreamina-seedance-2-0"}, 0),
        ({"metadata": {"seed": SEED + 1}}, 0),
        ({}, 100),
    ],
    ids=["length", "resolution", "model", "seed", "time"],
)
def test_another_programs_task_that_differs_in_one_thing_is_not_adopted(
    desk: Any, sim: Any, changes: dict[str, Any], earlier: float
) -> None:
    """The same seed on the same key is not enough: the doubt stays, exit 3, and nothing is sent again."""
    in_doubt(desk, sim, CUT)
    former = post(sim, foreign("somebody else's", **changes))
    desk.until(sim.settled, "the end of the generation")
    submitted_earlier(desk, earlier)
    desk.check(desk.run(), 3, former=former)
    assert desk.row("bee")["remote_id"] == ""
    assert sim.posts() == 2


def test_a_task_that_agrees_in_everything_is_taken_for_the_doubts_own(desk: Any, sim: Any) -> None:
    """The control: what the tests around this one leave alone is adopted when seed and all else agree."""
    in_doubt(desk, sim, CUT | {"times": 1})
    post(sim, foreign(BEE["prompt"]))
    desk.until(sim.settled, "the end of the generation")
    desk.check(desk.run(), 0)
    assert desk.row("bee")["remote_id"] == sim.charges()[0]["remote_id"]


def test_two_tasks_that_agree_in_everything_are_both_left_alone(desk: Any, sim: Any) -> None:
    """The doubt's own task and another program's twin of it can't be told apart: in doubt, exit 3."""
    in_doubt(desk, sim, CHARGED)
    former = post(sim, foreign("somebody else's"))
    desk.until(sim.settled, "the end of the generations")
    desk.check(desk.run(), 3, former=former)
    assert desk.states() == {"bee": "in_doubt"}


def test_other_programs_on_the_key_do_not_disturb(desk: Any, sim: Any) -> None:
    """Among thirty tasks of others, before and after it, the doubt finds its own."""
    in_doubt(desk, sim, CHARGED)
    former = post(sim, *(foreign(f"other {n}", seed=1000 + n) for n in range(30)))
    desk.until(sim.settled, "the end of the generations")
    desk.check(desk.run(), 0, former=former)
    assert desk.row("bee")["remote_id"] == sim.charges("bee")[0]["remote_id"]


def test_a_task_that_has_dropped_out_of_the_log_stays_in_doubt_and_its_row_says_so(
    desk: Any, sim: Any
) -> None:
    """The log shows its newest 1,000 rows: a doubt older than they are is not settled by silence."""
    in_doubt(desk, sim, CHARGED, generation_seconds=1)
    submitted_earlier(desk, 5)
    former = post(sim, *(foreign(f"other {n}", seed=1000 + n) for n in range(520)))
    last = sim.charges()[-1]["remote_id"]
    asked = f"/v1/video/generations/{last}"
    desk.until(lambda: sim.ask(asked)["data"]["status"] == "SUCCESS", "the end of the last")
    assert len(sim.ask("/api/log/token")["data"]) == 1000
    desk.check(desk.run(), 3, former=former)
    assert "doesn't go back that far" in desk.row("bee")["error_message"]
    assert sim.posts() == 521


def test_used_up_look_ups_cause_no_storm_and_a_later_one_finds_the_task(desk: Any, sim: Any) -> None:
    """429 with Retry-After: asked again when it is over, within the run where others keep it going."""
    sim.start(
        CHARGED,
        {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 150},
        usage_limit=1,
    )
    sim.ask("/api/usage/token/")
    desk.write("ant", BEE)
    done = desk.run()
    desk.check(done, 0)
    assert "can't be read" in done.stderr
    assert 2 <= sim.requests()[LOOKS] <= 3
    assert sim.posts() == 2


def test_a_task_stays_in_doubt_while_look_ups_are_used_up(desk: Any, sim: Any) -> None:
    """Others on this address use them all: a look or two, exit 3, and a later run finds it."""
    sim.start(CHARGED, {"on": "usage", "do": "429", "seconds": 1200})
    desk.write(BEE)
    desk.check(desk.run(), 3)
    assert 1 <= sim.requests()[LOOKS] <= 2
    sim.start()
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 1


def test_with_the_log_switched_off_a_task_stays_in_doubt_and_its_row_says_so(desk: Any, sim: Any) -> None:
    """An empty log proves nothing: exit 3, and the row says that the gateway may not keep one."""
    sim.start(CHARGED, usage_log=False)
    desk.write("ant", BEE)
    done = desk.run()
    desk.check(done, 3)
    assert "may not keep one" in desk.row("bee")["error_message"]
    assert sim.posts() == 2


@pytest.mark.parametrize(
    "fault",
    FAILED_LOOKS,
    ids=lambda fault: "-".join(map(str, fault.values())),
)
def test_a_look_up_that_fails_once_is_made_again(desk: Any, sim: Any, fault: dict[str, Any]) -> None:
    """Whatever the log answers, a failed look says nothing about the doubt; the next one finds it."""
    # The used quota is asked for at the beginning and before each look.
    sim.start(CHARGED, {"on": "usage", "nth": 3} | fault)
    desk.write(BEE)
    done = desk.run()
    desk.check(done, 0)
    # A question that costs nothing may be asked again at once where its connection broke.
    assert "can't be read" in done.stderr or fault["do"] == "cut"
    assert sim.requests()[LOOKS] == 2
    assert sim.posts() == 1


@pytest.mark.parametrize(
    ("status", "body"),
    UNREADABLE,
    ids=str,
)
def test_a_log_that_can_never_be_read_leaves_the_task_in_doubt(
    desk: Any, sim: Any, relay: Any, status: int, body: Any
) -> None:
    """No such route, no permission, a web page, rows that are none: exit 3, not sent again, run not ended."""
    sim.start(CHARGED)
    relay.rule("usage", relay.says(status, body))
    desk.write("ant", BEE, "cat", on_doubt="keep")
    desk.check(desk.run("--base-url", relay.url), 3)
    assert desk.states() == {"ant": "done", "bee": "in_doubt", "cat": "done"}
    assert relay.count("submit") == 3
    relay.clear()
    desk.check(desk.run("--base-url", relay.url), 0)
    assert relay.count("submit") == 3


def test_a_task_of_the_log_that_can_not_be_looked_at_settles_nothing(desk: Any, sim: Any, relay: Any) -> None:
    """Where a candidate can't be seen none can be told from it: in doubt; seen by a later look, adopted."""
    sim.start(CHARGED)
    relay.rule("poll", relay.says(502, "<html>bad gateway</html>"), prompt="bee", times=1)
    desk.write(BEE)
    desk.check(desk.run("--base-url", relay.url), 0)
    assert relay.count("usage") == 2
    assert relay.count("submit") == 1


def test_an_adopted_task_is_no_sign_that_another_doubt_was_charged(desk: Any, sim: Any) -> None:
    """The one row in the log is the adopted one's: of the other doubt the log shows nothing."""
    never = CUT | {"prompt": "cat*", "times": 1}
    sim.start(CHARGED | {"times": 1}, never)
    desk.write("bee", "cat")
    desk.check(desk.run(), 3)
    assert desk.states() == {"bee": "done", "cat": "in_doubt"}
    assert "no matching submission" in desk.row("cat")["error_message"]
