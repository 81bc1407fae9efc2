"""What the command says about chains: before they are paid for, and when a person changes them."""

from __future__ import annotations

from typing import Any

from tests.acceptance.test_chains import shot, video_of


def test_the_estimate_of_a_needed_video_is_as_long_as_it_is_to_be(desk: Any, sim: Any) -> None:
    """Known lengths no longer count as the longest, and what is charged is never more than estimated."""
    sim.start()
    bee = {"id": "bee", "prompt": "bee goes on", **video_of("ant"), "duration": 4}
    desk.write(shot("ant", duration=4), bee)
    planned = desk.do("plan", "batch.yaml", *desk.at_gateway()[:2], "--json").json
    desk.check(desk.run(), 0)
    charged = {name: sim.charges(name)[0]["tokens"] for name in ("ant", "bee")}
    most = {task["id"]: task["tokens"] for task in planned["tasks"]}
    assert charged["ant"] <= most["ant"]
    assert charged["bee"] <= most["bee"] < 1.2 * charged["bee"]
    (attempt,) = desk.do("status", "batch.run", "bee", "--json").json["all_attempts"]
    assert attempt["worst_tokens"] == most["bee"]


def test_retry_says_what_will_be_submitted_besides(desk: Any, sim: Any) -> None:
    """What waits for a failed shot goes on by itself and is paid for: how many, and for how much."""
    sim.start({"on": "generate", "do": "fail", "prompt": "ant*", "times": 2})
    desk.write(shot("ant"), shot("bee", "ant"), shot("cat", "bee"), shot("dog"))
    assert desk.run().code == 1
    told = desk.do("retry", "batch.run", "ant")
    first, own, second, cost = told.stdout.splitlines()
    assert first.startswith("1 task pending again")
    assert second == "2 tasks that wait for it will be submitted, too:"
    dollars = [float(line.split(" · ")[1].removesuffix(" USD")) for line in (own, cost)]
    assert dollars[1] > dollars[0] > 0
    assert max(map(len, told.stdout.splitlines())) <= 80
    again = desk.do("retry", "batch.run", "ant", "bee")
    assert (again.code, again.stdout) == (0, "ant, bee are pending already; nothing changed\n")
    assert desk.run().code == 0
    assert len(sim.charges("ant")) == 3, "of which two were refunded"


def test_what_is_pending_already_is_said_to_be(desk: Any, sim: Any) -> None:
    """Asked twice for a new version, a task has one; one that waits says for what; the exit code is 0."""
    sim.start({"on": "generate", "do": "fail", "prompt": "bee*"})
    desk.write(shot("ant"), shot("bee"), shot("cat", "bee"))
    assert desk.run().code == 1
    waits = desk.do("retry", "batch.run", "cat")
    told = "cat (needs bee, which failed) is pending already; nothing changed\n"
    assert (waits.code, waits.stdout) == (0, told)
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    twice = desk.do("retry", "batch.run", "ant", "--again")
    assert (twice.code, twice.stdout) == (0, "ant is pending already; nothing changed\n")
    values = desk.do("retry", "batch.run", "ant", "--again", "--json").json
    assert (values["tasks"], values["done"]) == ([], "nothing changed")
    assert [task["id"] for task in values["pending_already"]] == ["ant"]
    both = desk.do("retry", "batch.run", "bee", "ant").stdout
    assert both.startswith("1 task pending again")
    assert "ant is pending already" in both
    assert desk.run().code == 1
    assert len(sim.charges("ant")) == 2


def test_of_two_tasks_with_an_id_the_one_that_left_the_manifest_is_marked(desk: Any, sim: Any) -> None:
    """After an edit, `status DIR ID` shows both, and says which is no longer wanted."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant digs"})
    desk.check(desk.run(), 0)
    desk.write({"id": "ant", "prompt": "ant sleeps"})
    assert desk.run().code == 0
    heads = [line for line in desk.do("status", "batch.run", "ant").stdout.splitlines() if line[:1] != " "]
    assert sorted(heads) == ["ant: done", "ant: done (no longer in the manifest)"]


def test_an_edit_is_told_apart_from_what_follows_it(desk: Any, sim: Any) -> None:
    """Who edits one of three shots is not told that three were edited; plan and run say the same."""
    sim.start()
    film = (shot("ant"), shot("bee", "ant"), shot("cat", "bee"))
    desk.write(*film)
    desk.check(desk.run(), 0)
    desk.write(shot("ant", prompt="turns round"), *film[1:])
    said = "1 task was edited, and 2 need it, although the old versions are paid: ant, bee, cat"
    planned = desk.do("plan", "batch.yaml").stdout
    assert said in planned
    assert "3  changed: what it needs ×2, prompt ×1;" in planned
    desk.write(shot("ant", prompt="turns round"), shot("bee", "ant", prompt="stops"), film[2])
    both = "2 tasks were edited, and 1 needs them, although the old versions are paid: ant, bee, cat"
    assert both in desk.do("plan", "batch.yaml").stdout
    told = desk.run("-y")
    assert both in told.stderr
    assert "3 tasks were edited or removed from the manifest, or need one that was" in told.stderr
    assert len(sim.charges()) == 6


def test_a_needed_video_that_came_out_longer_is_estimated_so_before(desk: Any, sim: Any) -> None:
    """As the claim counts it: what `plan` says and a person confirms is what the run reserves."""
    sim.start(makes={"duration": 9, "tokens": 0.4})  # not charged for the length: that would be learned from
    bee = {"id": "bee", "prompt": "bee goes on", **video_of("ant"), "duration": 4}
    desk.write(shot("ant", duration=4), bee, confirm_above=500)
    asked = ("plan", "batch.yaml", *desk.at_gateway()[:2], "--json")
    before = desk.do(*asked).json
    assert desk.run("--only", "ant").code == 0
    sim.start()
    planned = desk.do(*asked).json
    (most,) = [task["tokens"] for task in planned["tasks"] if task["id"] == "bee"]
    assert most == planned["forecast"]["tokens"] == sum(group["tokens"] for group in planned["groups"])
    assert most > next(task["tokens"] for task in before["tasks"] if task["id"] == "bee")
    cost = planned["forecast"]["cost"]
    desk.write(shot("ant", duration=4), bee, confirm_above=cost - 0.01)
    refused = desk.run()
    assert (refused.code, len(sim.charges())) == (2, 1)
    assert f"submitting 1 task for up to {cost:.2f} USD must be confirmed" in refused.stderr
    desk.write(shot("ant", duration=4), bee, confirm_above=cost)
    assert desk.run().code == 0
    (attempt,) = desk.do("status", "batch.run", "bee", "--json").json["all_attempts"]
    assert attempt["worst_tokens"] == most


def test_status_names_what_was_made_from_an_earlier_version(desk: Any, sim: Any) -> None:
    """Until it is made again, too: whoever looks in the morning sees which shots no longer fit."""
    sim.start()
    desk.write(shot("ant"), shot("bee", "ant"), shot("cat", "bee"))
    assert desk.run().code == 0
    assert "earlier version" not in desk.do("status", "batch.run").stdout
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    assert (
        "1 was made from an earlier version of what it needs: bee\n" in desk.do("status", "batch.run").stdout
    )
    assert desk.do("retry", "batch.run", "bee", "--again", "--following").code == 0
    assert desk.run().code == 0
    assert "earlier version" not in desk.do("status", "batch.run").stdout


def test_plan_leads_to_what_waits_for_a_person(desk: Any, sim: Any) -> None:
    """What has failed is not submitted again by itself; `status` says what to do."""
    sim.start({"on": "generate", "do": "fail", "prompt": "ant*", "times": 2})
    desk.write(shot("ant"), shot("bee", "ant"))
    assert "next" not in desk.do("plan", "batch.yaml").stdout
    assert desk.run().code == 1
    assert desk.do("plan", "batch.yaml").stdout.splitlines()[-1].startswith("next     batchrunner status ")
    assert "retry batch.run --failed" in desk.do("status", "batch.run").stdout


def test_what_waits_for_a_doubt_is_named_when_it_is_declared_lost(desk: Any, sim: Any) -> None:
    """It is paid for, too, by the next run."""
    sim.start({"on": "submit", "do": "cut_before_accept", "prompt": "ant*", "times": 1}, usage_log=False)
    desk.write(shot("ant"), shot("bee", "ant"), shot("cat", "bee"))
    assert desk.run().code == 3
    told = desk.do("resolve", "batch.run", "ant", "--lost").stdout.splitlines()
    assert told[0] == "1 task declared lost; the next run will submit (and pay) again"
    assert told[2] == "2 tasks that wait for it will be submitted, too:"
    sim.start()
    assert desk.run().code == 0
    assert len(sim.charges()) == 3
