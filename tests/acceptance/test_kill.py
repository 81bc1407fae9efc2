"""SIGKILL at any moment: the same command goes on, and nothing is paid twice or lost."""

import random
from typing import Any

import pytest

TASKS = ("ant", "bee", "cat", "dog", "elk")
KILLS = 3
EVENTS = 20
"""A whole run of five tasks has so many: claimed, accepted, succeeded, collected."""
UNANSWERED = {"on": "submit", "do": "hang_after_accept", "prompt": "bee*"}


def settle(desk: Any, chance: random.Random) -> None:
    """Decide every task in doubt as the charge book has it, where its seed tells the charges apart."""
    for row in desk.rows():
        if row["state"] == "in_doubt":
            name = chance.choice((row["id"], row["fingerprint"].partition("-")[2]))
            assert desk.do("resolve", desk.directory.name, name, *desk.verdict(row)).code == 0


@pytest.mark.executed
@pytest.mark.parametrize("seed", range(3))
def test_repeated_kills_at_random_moments_charge_every_task_once(desk: Any, sim: Any, seed: int) -> None:
    """Killed three times and settled by a person who looks the doubts up, all is done with a charge each."""
    chance = random.Random(seed)
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 5, "every": 2}, seed=seed, scale=0.004)
    desk.write(*TASKS, concurrency=chance.choice((1, 3, 6)))
    left = EVENTS
    for _ in range(KILLS):
        run, moment = desk.start_run(), chance.randrange(max(2, left // 2))
        # A run that has less to do than was drawn ends by itself.
        desk.until(lambda r=run, m=moment: r.process.poll() is not None or len(r.events()) >= m, "the moment")
        run.killed()
        left -= len(run.events())
    run = desk.run()
    desk.check(run, 3 if "in_doubt" in desk.states().values() else 0)
    settle(desk, chance)
    desk.check(desk.run(), 0)
    assert [len(sim.charges(task)) for task in TASKS] == [1] * len(TASKS)


@pytest.fixture
def charged(desk: Any, sim: Any) -> Any:
    """A desk on which a run was killed when the gateway had charged `bee` and not answered yet."""
    sim.start(UNANSWERED | {"times": 1}, usage_log=False)
    desk.write("ant", "bee", "cat", concurrency=3)
    run = desk.start_run()
    desk.until(lambda: sim.charges("bee"), "the charge")
    run.reached(2, "accepted").killed()
    return desk


def test_a_task_killed_after_the_charge_is_in_doubt_and_never_sent_again_by_itself(
    charged: Any, sim: Any
) -> None:
    """The next runs finish the others, exit 3, name the task and the command, and do not submit it."""
    for _ in range(2):
        done = charged.run()
        charged.check(done, 3)
        assert charged.states() == {"ant": "done", "bee": "in_doubt", "cat": "done"}
        assert "bee" in done.stdout
        assert "--lost" in done.stdout
        assert "--adopt" in done.stdout
    assert len(sim.charges("bee")) == 1


def test_a_task_declared_lost_is_charged_exactly_once_more(charged: Any, sim: Any) -> None:
    """A person's `--lost` frees the task, whose next submission is the only further charge."""
    charged.check(charged.run(), 3)
    assert charged.do("resolve", "batch.run", "--all", "--lost").code == 0
    for _ in range(2):
        charged.check(charged.run(), 0, again={"bee": 1})
    assert len(sim.charges("bee")) == 2
    assert charged.row("bee")["attempts"] == "2"
    assert charged.row("bee")["remote_id"] == sim.charges("bee")[1]["remote_id"]


def test_an_adopted_task_is_collected_without_another_charge(charged: Any, sim: Any) -> None:
    """With the remote id from the gateway's book the paid video is brought in, and nothing is sent."""
    charged.check(charged.run(), 3)
    (charge,) = sim.charges("bee")
    assert charged.do("resolve", "batch.run", "bee", "--adopt", charge["remote_id"]).code == 0
    posts = sim.posts()
    charged.check(charged.run(), 0)
    assert sim.posts() == posts
    assert charged.row("bee")["remote_id"] == charge["remote_id"]


def test_a_charge_that_comes_after_the_kill_is_still_only_in_doubt(desk: Any, sim: Any) -> None:
    """Killed before the gateway has made up its mind, the task is charged later and not sent again."""
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 6000})
    desk.write("ant")
    run = desk.start_run()
    desk.until(sim.posts, "the POST")
    run.killed()
    assert sim.charges() == []
    desk.check(desk.run(), 3)
    assert sim.charges() == []
    desk.until(lambda: sim.charges("ant"), "the late charge")
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 1


@pytest.mark.executed
def test_a_simulated_run_that_was_killed_takes_its_simulator_along_and_resumes(desk: Any) -> None:
    """With --simulate the gateway ends with the run, and the same command goes on with the same tasks."""
    desk.directory = desk.folder / "batch.simulated"
    desk.write("ant", "bee", concurrency=1)
    command = ("run", "batch.yaml", "--simulate", "--time-scale", "0.005")
    desk.start(*command, key=None).reached(1, "accepted").killed()
    desk.check(desk.do(*command, key=None), 0)


def test_a_run_killed_while_generating_resumes_polling_the_same_remote_id(desk: Any, sim: Any) -> None:
    """What was accepted before the kill is taken up under its remote id, and nothing is in doubt."""
    sim.start(generation_seconds=200)
    desk.write("ant", "bee")
    desk.start_run().reached(2, "accepted").killed()
    assert not desk.run("--quiet").stderr
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


def test_a_video_whose_download_was_killed_is_fetched_again_for_free(desk: Any, sim: Any) -> None:
    """A download cut short by the kill leaves nothing under a final name, and is made again."""
    sim.start({"on": "download", "do": "slow", "seconds": 5000, "times": 1})
    desk.write("ant")
    run = desk.start_run()
    desk.until(sim.downloads, "the download")
    run.killed()
    assert list(desk.directory.glob("videos/*.mp4")) == []
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 1


@pytest.mark.parametrize("left", ["videos/.ant.0badcafe.part", ".results.csv.0badcafe.part"])
def test_half_written_files_of_a_killed_run_are_removed_by_the_next(desk: Any, sim: Any, left: str) -> None:
    """Part files of videos and of results.csv do not outlive the next run."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    (desk.directory / left).write_bytes(b"half")
    desk.check(desk.run(), 0)
    assert not (desk.directory / left).exists()


def test_two_equal_requests_are_made_once_each_despite_a_kill(desk: Any, sim: Any) -> None:
    """Replicas are two tasks: interrupted and resumed, each has its own charge, file and row."""
    sim.start(generation_seconds=100)
    same = {"prompt": "twin walks along the shore"}
    desk.write({"id": "first", **same}, {"id": "second", **same}, "other", concurrency=1)
    desk.start_run().reached(1, "accepted").killed()
    desk.check(desk.run(), 0)
    assert len(sim.charges("twin")) == 2
    first, second = desk.row("first"), desk.row("second")
    assert first["sha256"] != second["sha256"]
    assert first["remote_id"] != second["remote_id"]
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_a_generation_that_failed_between_two_runs_is_tried_once_more(desk: Any, sim: Any) -> None:
    """Taken up and found failed while the run still opens, its task is submitted once, not twice."""
    sim.start({"on": "generate", "do": "fail", "prompt": "bee*", "times": 1})
    desk.write("bee")
    desk.start_run().reached(1, "accepted").killed()
    desk.until(sim.settled, "the failure")
    desk.check(desk.run(), 0)
    assert len(sim.charges("bee")) == 2
