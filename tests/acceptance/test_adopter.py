"""Submissions in doubt looked up in the usage log: what is found for sure is adopted, nothing paid twice."""

import signal
from itertools import pairwise
from typing import Any

import pytest

LOST = ["cut_after_accept", "html_502_after_accept", "hang_after_accept"]
LOST += ["no_id_after_accept", "broken_json_after_accept"]
CUT = {"on": "submit", "do": "cut_after_accept", "prompt": "bee*"}
LOOKS = "GET /api/log/token"


def auto(desk: Any, *options: str) -> Any:
    """`resolve --auto` on the desk's run directory."""
    return desk.do("resolve", "batch.run", "--auto", "--time-scale", str(desk.gateway.scale), *options)


@pytest.fixture
def doubtful(desk: Any, sim: Any) -> Any:
    """A desk on which a run was killed when `bee` was charged and in doubt, and `ant` accepted."""
    sim.start(CUT)
    desk.write("ant", "bee", concurrency=1)
    desk.start_run().reached(1, "unknown").killed()
    desk.until(sim.settled, "the end of the generations")
    return desk


def adopted(desk: Any, sim: Any) -> None:
    """`bee` is done under the id that the book has, after one submission, and nothing is in doubt."""
    (charge,) = sim.charges("bee")
    row = desk.row("bee")
    assert (row["state"], row["remote_id"], row["attempts"]) == ("done", charge["remote_id"], "1")
    assert (row["error_code"], row["seed"]) == ("", str(charge["seed"]))


@pytest.mark.parametrize("do", LOST)
def test_a_doubt_is_found_and_collected_within_the_same_run(desk: Any, sim: Any, do: str) -> None:
    """However its answer was lost, a charged submission is adopted after 5 min: exit 0, one POST each."""
    sim.start(CUT | {"do": do})
    desk.write("ant", "bee", "cat", submit_timeout=0.5)
    done = desk.run()
    desk.check(done, 0)
    adopted(desk, sim)
    assert "found bee as task_" in done.stderr
    assert sim.posts() == 3


def test_after_a_kill_the_next_run_adopts_what_the_last_one_lost(doubtful: Any, sim: Any) -> None:
    """The doubt of a killed run is looked up by the next, at once where it is old enough; one charge."""
    done = doubtful.run()
    doubtful.check(done, 0)
    adopted(doubtful, sim)
    assert sim.posts() == 2


def test_collect_adopts_as_well_and_submits_nothing(doubtful: Any, sim: Any) -> None:
    """`collect` looks doubts up and brings the video in, without the manifest."""
    doubtful.check(doubtful.do("collect", "batch.run", "--time-scale", str(sim.scale)), 0)
    adopted(doubtful, sim)
    assert sim.posts() == 2


def test_resolve_auto_makes_one_look_up_and_the_next_run_collects(doubtful: Any, sim: Any) -> None:
    """`resolve --auto` looks now: exit 0 says that it is found; the next run brings it in without a POST."""
    done = auto(doubtful)
    assert done.code == 0, done.stderr
    assert f"bee: found as {sim.charges('bee')[0]['remote_id']}" in done.stdout
    assert sim.requests()[LOOKS] == 1
    assert doubtful.do("resolve", "batch.run", "--json").json == []
    doubtful.check(doubtful.run(), 0)
    adopted(doubtful, sim)
    assert sim.posts() == 2


def test_resolve_auto_that_finds_nothing_says_what_it_saw(desk: Any, sim: Any) -> None:
    """Exit 3, the doubt stays, and the listing tells what the log showed; nothing is declared lost."""
    sim.start(CUT | {"do": "cut_before_accept"})
    desk.write("bee")
    desk.start_run().reached(1, "unknown").killed()
    done = auto(desk, "--json")
    assert (done.code, done.json["adopted"]) == (3, [])
    assert [told["id"] for told in done.json["in_doubt"]] == ["bee"]
    assert "log" in done.json["in_doubt"][0]["usage_log"]
    (listed,) = desk.do("resolve", "batch.run", "--json").json
    assert listed["usage_log"].startswith(done.json["in_doubt"][0]["usage_log"])
    assert sim.posts() == 1


@pytest.mark.parametrize(
    ("second", "prompts"),
    [
        ("cut_before_accept", ("twin runs", "twin runs")),
        ("cut_before_accept", ("twin runs", "twin sits")),
        ("cut_after_accept", ("twin runs", "twin sits")),
    ],
    ids=str,
)
def test_two_doubts_with_the_same_seed_are_left_alone(
    desk: Any, sim: Any, prompts: tuple[str, str], second: str
) -> None:
    """With the seed given and both in doubt nobody can say which is which, charged once or twice: exit 3."""
    sim.start({"on": "submit", "do": "cut_after_accept", "nth": 1}, {"on": "submit", "do": second})
    desk.write(*({"id": f"t{n}", "prompt": p, "metadata": {"seed": 5}} for n, p in enumerate(prompts)))
    done = desk.run()
    assert done.code == 3
    assert desk.states() == {"t0": "in_doubt", "t1": "in_doubt"}
    assert len(sim.charges()) == sim.posts() - (second == "cut_before_accept") == 1 + (second in LOST)
    assert all("may have been charged" in row["error_message"] for row in desk.rows())
    assert auto(desk).code == 3
    assert sim.posts() == 2


def test_two_replicas_with_the_same_seed_are_both_found(desk: Any, sim: Any) -> None:
    """Equal requests, both charged, both cut: any pairing is right. One POST each, exit 0."""
    sim.start({"on": "submit", "do": "cut_after_accept"})
    desk.write(*({"id": f"t{n}", "prompt": "twin runs", "metadata": {"seed": 5}} for n in range(2)))
    desk.check(desk.run(), 0)
    assert {row["remote_id"] for row in desk.rows()} == {charge["remote_id"] for charge in sim.charges()}
    assert sim.posts() == 2


def test_two_doubts_with_seeds_of_their_own_are_both_found(desk: Any, sim: Any) -> None:
    """Drawn seeds differ, also between two equal requests: each doubt gets its own task."""
    sim.start({"on": "submit", "do": "cut_after_accept"})
    desk.write({"id": "t0", "prompt": "twin runs"}, {"id": "t1", "prompt": "twin runs"}, max_in_doubt=9)
    desk.check(desk.run(), 0)
    by_seed = {str(charge["seed"]): charge["remote_id"] for charge in sim.charges()}
    assert {row["seed"]: row["remote_id"] for row in desk.rows()} == by_seed
    assert sim.posts() == 2


def test_a_charge_that_comes_late_is_found_by_a_later_look(desk: Any, sim: Any) -> None:
    """The first look shows nothing; the run goes on for others, looks again, finds it, and pays once."""
    sim.start(
        CUT | {"do": "slow_accept", "seconds": 1000},
        {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 150},
    )
    desk.write("ant", "bee", submit_timeout=0.3)
    desk.check(desk.run(), 0)
    adopted(desk, sim)
    assert sim.requests()[LOOKS] > 1
    assert sim.posts() == 2


@pytest.mark.parametrize("attempts", [1, 2])
def test_on_doubt_resubmit_makes_at_most_max_attempts_and_looks_before_each(
    desk: Any, sim: Any, relay: Any, attempts: int
) -> None:
    """`on_doubt: resubmit` sends again only after a look-up found nothing; then it stays in doubt, exit 3."""
    sim.start(CUT | {"do": "cut_before_accept"})
    desk.write("ant", "bee", "cat", on_doubt="resubmit", max_attempts=attempts, concurrency=1)
    desk.check(desk.run("--base-url", relay.url), 3)
    told = [kind for kind, prompt in relay.asked if kind == "usage" or prompt.startswith("bee")]
    submits = [number for number, kind in enumerate(told) if kind == "submit"]
    assert len(submits) == attempts
    assert all("usage" in told[one:other] for one, other in pairwise(submits))
    desk.run("--base-url", relay.url)
    assert relay.count("submit", "bee") == attempts, "not even by another run"


def test_a_task_that_the_log_shows_is_adopted_and_not_submitted_again(desk: Any, sim: Any) -> None:
    """`on_doubt: resubmit` pays nothing for what can be found."""
    sim.start(CUT)
    desk.write("ant", "bee", on_doubt="resubmit", max_attempts=5)
    desk.check(desk.run(), 0)
    adopted(desk, sim)


def test_a_doubt_that_was_not_charged_is_submitted_again_and_made(desk: Any, sim: Any) -> None:
    """With `on_doubt: resubmit` the night ends with every video, and this one was paid for once."""
    sim.start(CUT | {"do": "cut_before_accept", "times": 1})
    desk.write("ant", "bee", "cat", on_doubt="resubmit", concurrency=1)
    desk.check(desk.run(), 0)
    assert desk.row("bee")["attempts"] == "2"
    assert len(sim.charges("bee")) == 1


def test_on_doubt_keep_never_submits_a_doubt_again(desk: Any, sim: Any) -> None:
    """Without `on_doubt: resubmit` three runs leave it at one POST, whatever the log says."""
    sim.start(CUT | {"do": "cut_before_accept"})
    desk.write("ant", "bee", max_attempts=9)
    for _ in range(3):
        desk.check(desk.run(), 3)
    assert (desk.states()["bee"], sim.posts()) == ("in_doubt", 2)


def test_without_a_key_a_run_with_nothing_but_doubts_asks_nothing(desk: Any, sim: Any) -> None:
    """Exit 3 names the task; no request is made, and no key is asked for."""
    sim.start(CUT, usage_log=False)
    desk.write("ant", "bee")
    desk.check(desk.run(), 3)
    before = sim.requests()
    done = desk.do("run", "batch.yaml", *desk.at_gateway(), key=None)
    desk.check(done, 3)
    assert "bee" in done.stdout
    asked = sim.requests() - before
    assert set(asked) <= {"GET /simulator/requests"}


def test_a_run_stopped_while_it_waits_for_a_look_ends_and_the_next_adopts(desk: Any, sim: Any) -> None:
    """With nothing left but a doubt, SIGTERM ends the run; nothing is lost, and nothing is sent again."""
    sim.start(CUT, scale=0.02)
    desk.write("bee")
    run = desk.start_run().reached(1, "unknown")
    run.send(signal.SIGTERM)
    desk.check(run.ended(), 143)
    assert desk.states() == {"bee": "in_doubt"}
    assert sim.requests()[LOOKS] == 0
    desk.until(sim.settled, "the end of the generation")
    assert auto(desk).code == 0
    desk.check(desk.run(), 0)
    assert sim.posts() == 1


def test_resolve_auto_without_a_key_asks_nothing(doubtful: Any, sim: Any) -> None:
    """A look-up needs the key: exit 4 says where one may come from, and the doubt stays what it is."""
    done = doubtful.do("resolve", "batch.run", "--auto", key=None)
    assert done.code == 4
    assert "EASYROUTER_API_KEY" in done.stderr
    assert sim.requests()[LOOKS] == 0
    assert [task["id"] for task in doubtful.do("resolve", "batch.run", "--json").json] == ["bee"]


def test_resolve_auto_for_one_task_refuses_a_task_that_is_not_in_doubt(desk: Any, sim: Any) -> None:
    """`resolve DIR ID --auto` says what is wrong with a name that is no doubt's, and finds one that is."""
    sim.start(CUT | {"times": 1}, usage_log=False)
    desk.write("ant", "bee")
    desk.check(desk.run(), 3)
    sim.start()
    options = ("--auto", *desk.at_gateway())
    assert desk.do("resolve", "batch.run", "ant", *options).code == 2
    assert desk.do("resolve", "batch.run", "nobody", *options).code == 2
    assert desk.do("resolve", "batch.run", "bee", *options).code == 0
    desk.check(desk.run(), 0)
