"""Remote IDs of tasks in doubt that are wrong, or right with the key of another account."""

from typing import Any

CUT = {"on": "submit", "do": "cut_after_accept", "prompt": "bee*", "times": 1}
GONE = {"code": "task_not_exist", "message": "task_not_exist", "data": None}
NOBODYS = "task_NobodyHasThisOne"


def misadopted(desk: Any, sim: Any, *others: str) -> None:
    """A run was killed with `bee` in doubt, and a person adopted an ID that nobody has."""
    sim.start(CUT)
    desk.write("bee")
    desk.start_run().reached(1, "unknown").killed()
    assert desk.do("resolve", "batch.run", "bee", "--adopt", NOBODYS).code == 0
    desk.write("bee", *others)


def test_a_wrong_id_puts_the_task_in_doubt_again_and_blames_no_key(desk: Any, sim: Any) -> None:
    """Nothing else vouches for the key: the run ends, says which ID was wrong, and the charge is found."""
    misadopted(desk, sim)
    done = desk.run()
    desk.check(done, 0)
    assert desk.row("bee")["remote_id"] == sim.charges("bee")[0]["remote_id"]
    assert sim.posts() == 1


def test_a_wrong_id_does_not_hold_up_the_other_tasks(desk: Any, sim: Any) -> None:
    """With the usage log switched off it stays in doubt, its row names the wrong ID, and the rest is made."""
    misadopted(desk, sim, "ant")
    sim.start(usage_log=False)
    done = desk.run()
    desk.check(done, 3)
    assert desk.states() == {"bee": "in_doubt", "ant": "done"}
    assert NOBODYS in "".join(desk.do("status", "batch.run", "bee").stdout.split())


def test_the_right_id_and_the_key_of_another_account_forget_nothing(desk: Any, sim: Any, relay: Any) -> None:
    """The gateway accepted `ant` itself and doesn't show it: exit 4 before any POST, and both are kept."""
    sim.start(CUT)
    desk.write("bee", "ant", concurrency=1)
    desk.start_run("--base-url", relay.url).reached(1, "unknown").reached(1, "accepted").killed()
    right = sim.charges("bee")[0]["remote_id"]
    assert desk.do("resolve", "batch.run", "bee", "--adopt", right).code == 0
    relay.rule("poll", relay.says(400, GONE))
    desk.write("bee", "ant", "cat")
    assert desk.run("--base-url", relay.url).code == 4
    assert desk.states() == {"bee": "generating", "ant": "generating", "cat": "pending"}
    relay.clear()
    desk.check(desk.run("--base-url", relay.url), 0)
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
