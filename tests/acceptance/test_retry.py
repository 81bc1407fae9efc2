"""`batchrunner retry`: failed tasks tried again, and further versions of finished videos."""

from pathlib import Path
from typing import Any

from tests.harness.run_directory import sha256_of


def test_another_version_has_a_new_seed_and_leaves_the_old_file_alone(desk: Any, sim: Any) -> None:
    """`retry ID --again` pays once more, for another video under another name; the first stays."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant digs", "metadata": {"seed": 7}}, "bee")
    assert desk.run().code == 0
    first = Path(desk.directory, desk.row("ant")["file_name"])
    before = sha256_of(first)

    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert sim.posts() == 2, "a person's word alone sends nothing"
    assert desk.run().code == 0
    row = desk.row("ant")
    assert (row["file_name"], row["attempts"]) == ("videos/ant-v2.mp4", "2")
    assert sha256_of(first) == before
    charges = [charge for charge in sim.charges() if charge["prompt"] == "ant digs"]
    assert [charge["seed"] == 7 for charge in charges] == [True, False]
    assert row["seed"] == str(charges[1]["seed"])
    assert row["sha256"] == sha256_of(Path(desk.directory, row["file_name"]))


def test_retry_explains_why_a_task_can_not_be_retried(desk: Any, sim: Any) -> None:
    """A finished video has --again, and where nothing failed there is nothing to do; neither is paid."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    refused = desk.do("retry", "batch.run", "ant")
    assert refused.code == 2
    assert "retry batch.run ant --again" in refused.stderr
    done = desk.do("retry", "batch.run", "--failed")
    assert (done.code, done.stdout) == (0, "no tasks failed; nothing changed\n")
    assert sim.posts() == 1


def test_again_is_for_finished_videos_only(desk: Any, sim: Any) -> None:
    """A task that is pending or failed has no further version; nothing changes, exit 2."""
    sim.start({"on": "generate", "do": "fail"})
    desk.write("ant")
    assert desk.run().code == 1
    assert desk.do("retry", "batch.run", "ant", "--again").code == 2
    assert desk.do("retry", "batch.run", "--failed", "--again").code == 2
    assert desk.do("status", "batch.run", "ant", "--json").json["state"] == "failed"


def test_another_version_takes_no_name_that_a_file_has(desk: Any, sim: Any) -> None:
    """A file of the user's own under the next version's name stays, and the video goes beside it."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    mine = desk.directory / "videos" / "ant-v2.mp4"
    mine.write_text("mine")
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    assert mine.read_text() == "mine"
    assert desk.row("ant")["file_name"] == "videos/ant-v2-2.mp4"


def test_a_video_that_can_still_be_fetched_is_not_made_again(desk: Any, sim: Any) -> None:
    """Paid for and not collected: `--again` would abandon it, and points to `collect`, which is free."""
    sim.start({"on": "download", "do": "404", "source": "both"}, scale=0.001)
    desk.write("ant")
    desk.check(desk.run(), 1)
    refused = desk.do("retry", "batch.run", "ant", "--again")
    assert refused.code == 2
    assert "collect" in refused.stderr
    sim.start()
    assert desk.do("collect", "batch.run", *desk.at_gateway()).code == 0
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 1


def test_suggested_commands_start_with_the_free_ones_and_do_not_repeat(desk: Any, sim: Any) -> None:
    """One vanished, one was not collected, one refused: `collect` stands once, and before `retry`."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 20}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long)
    refused, gone = {"id": "cat", "prompt": "ark:inputmod"}, {"id": "dog", "prompt": "ark:gone walks"}
    desk.write("ant", "bee", refused, gone)
    shown = desk.run().stdout
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "failed", "dog": "uncollected"}
    assert shown.index("batchrunner collect") < shown.index("batchrunner retry batch.run --failed")
    assert shown.count("batchrunner collect") == shown.count("--failed") == 1
    assert desk.do("retry", "batch.run", "--failed").code == 0
    assert "--failed" not in desk.do("status", "batch.run").stdout, "it would do nothing"


def test_a_task_that_is_named_twice_is_made_again_once(desk: Any, sim: Any) -> None:
    """By its ID and by its fingerprint: one further version, one further charge."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    done = desk.do("retry", "batch.run", "ant", desk.row("ant")["fingerprint"], "ant", "--again")
    assert (done.code, done.stdout.startswith("1 task pending again")) == (0, True)
    desk.check(desk.run(), 0, again={"ant": 1})
    assert len(sim.charges()) == 2
