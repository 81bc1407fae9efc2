"""Parts of a plan, further versions of a video, and the picture of its last frame."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (["--limit", "2"], {"ant", "bee"}),
        (["--only", "cat"], {"cat"}),
        (["--only", "kind=bird", "--only", "ant", "--limit", "2"], {"ant", "dove"}),
    ],
)
def test_a_selection_is_submitted_and_nothing_else_however_often(
    desk: Any, sim: Any, options: list[str], made: set[str]
) -> None:
    """`--limit` and `--only` mean the same tasks at every run: exit 0 for them, the others wait unpaid."""
    sim.start()
    bird = {"id": "dove", "prompt": "dove flies", "labels": {"kind": "bird"}}
    desk.write("ant", "bee", "cat", bird)
    for _ in range(2):
        assert desk.run(*options).code == 0
        assert {name for name, state in desk.states().items() if state == "done"} == made
        assert len(sim.charges()) == len(made)
    assert desk.run().code == 0
    assert len(sim.charges()) == 4


def test_a_selection_that_fits_nothing_sends_nothing(desk: Any, sim: Any) -> None:
    """Exit 2 with the nearest name, and no folder."""
    sim.start()
    desk.write("ant", "bee")
    done = desk.run("--only", "bees")
    assert done.code == 2
    assert "bee?" in done.stderr
    assert not desk.directory.exists()
    assert sim.posts() == 0


def test_a_further_version_has_a_new_seed_and_leaves_the_old_file_alone(desk: Any, sim: Any) -> None:
    """`retry ID --again` pays once more, for another video under another name; the first stays."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant digs", "metadata": {"seed": 7}}, "bee")
    assert desk.run().code == 0
    first = Path(desk.directory, desk.row("ant")["file_name"])
    before = hashlib.sha256(first.read_bytes()).hexdigest()

    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert sim.posts() == 2, "a person's word alone sends nothing"
    assert desk.run().code == 0
    row = desk.row("ant")
    assert (row["file_name"], row["attempts"]) == ("videos/ant-v2.mp4", "2")
    assert hashlib.sha256(first.read_bytes()).hexdigest() == before
    charges = [charge for charge in sim.charges() if charge["prompt"] == "ant digs"]
    assert [charge["seed"] == 7 for charge in charges] == [True, False]
    assert row["seed"] == str(charges[1]["seed"])
    assert row["sha256"] == hashlib.sha256(Path(desk.directory, row["file_name"]).read_bytes()).hexdigest()


def test_retry_says_what_it_can_not_try_again(desk: Any, sim: Any) -> None:
    """A finished video has --again, and where nothing failed there is nothing to do; neither is paid."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    refused = desk.do("retry", "batch.run", "ant")
    assert refused.code == 2
    assert "retry DIR ant --again" in refused.stderr
    done = desk.do("retry", "batch.run", "--failed")
    assert (done.code, done.stdout) == (0, "no task has failed; nothing changed\n")
    assert sim.posts() == 1


@pytest.mark.parametrize("option", ["--limit=0", "--limit=x", "--limit=-1"])
def test_a_limit_is_a_number_of_tasks(desk: Any, option: str) -> None:
    """What is wrong with another value is said in words."""
    desk.write("ant")
    done = desk.do("run", "batch.yaml", "--simulate", option)
    assert done.code == 2
    assert "is not a number of tasks: write 1 or more" in done.stderr


def test_again_is_for_finished_videos_only(desk: Any, sim: Any) -> None:
    """A task that is pending or failed has no further version; nothing changes, exit 2."""
    sim.start({"on": "generate", "do": "fail"})
    desk.write("ant")
    assert desk.run().code == 1
    assert desk.do("retry", "batch.run", "ant", "--again").code == 2
    assert desk.do("retry", "batch.run", "--failed", "--again").code == 2
    assert desk.do("status", "batch.run", "ant", "--json").json["state"] == "failed"


def test_the_last_frame_lies_beside_the_video(desk: Any, sim: Any) -> None:
    """`return_last_frame` brings a picture, named in the row, and asks for it without the key."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant digs", "metadata": {"return_last_frame": True}}, "bee")
    assert desk.run().code == 0
    name = desk.row("ant")["last_frame_file"]
    assert name == "videos/ant-last-frame.jpg"
    assert Path(desk.directory, name).read_bytes().startswith(b"\xff\xd8\xff")
    assert desk.row("bee")["last_frame_file"] == ""
    assert not sim.requests()["GET file server with Authorization"]


def test_a_picture_that_is_not_ours_is_not_taken_for_the_last_frame(desk: Any, sim: Any) -> None:
    """Another file has the name: it stays, the video counts, and the row says that its picture is missing."""
    sim.start()
    desk.write({"id": "ant", "prompt": "ant walks", "metadata": {"return_last_frame": True}})
    (desk.directory / "videos").mkdir(parents=True)
    mine = desk.directory / "videos" / "ant-last-frame.jpg"
    mine.write_text("mine")
    assert desk.run().code == 0
    assert mine.read_text() == "mine"
    row = desk.row("ant")
    assert (row["state"], row["last_frame_file"]) == ("done", "")
    assert "another picture" in row["warnings"]


def test_a_further_version_takes_no_name_that_a_file_has(desk: Any, sim: Any) -> None:
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


def test_a_task_that_had_vanished_is_looked_at_again_for_free(desk: Any, sim: Any) -> None:
    """Failed because the gateway did not know it any more: `collect` looks again, and nothing is sent."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 20}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long)
    desk.write("ant", "bee")
    desk.check(desk.run(), 1)
    assert desk.row("bee")["error_code"] == "task_not_exist"
    collect = ("collect", "batch.run", *desk.at_gateway())
    sim.start()
    assert desk.do(*collect).code == 0
    assert desk.states() == {"ant": "done", "bee": "done"}
    assert (len(sim.charges()), sim.posts()) == (2, 0)


@pytest.fixture
def vanished(desk: Any, sim: Any) -> Any:
    """A desk with one video, one task that vanished after it was accepted, and one that was moderated."""
    seen_for_long = {"on": "generate", "do": "slow", "prompt": "ant*", "factor": 20}
    moderated = {"on": "generate", "do": "moderated", "prompt": "cat*", "times": 1}
    sim.start({"on": "poll", "do": "task_not_exist", "prompt": "bee*"}, seen_for_long, moderated)
    desk.write("ant", "bee", "cat", max_attempts=1)
    desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed", "cat": "failed"}
    return desk


def test_retry_of_all_leaves_out_what_may_be_paid_for_and_a_name_pays_again(vanished: Any, sim: Any) -> None:
    """`--failed` is no word for a task that was accepted: it is named, and `collect`; its own name is one."""
    retried = vanished.do("retry", "batch.run", "--failed", "--json")
    assert retried.code == 0
    value = json.loads(retried.stdout)
    assert [[task["id"] for task in value[kind]] for kind in ("tasks", "left_out")] == [["cat"], ["bee"]]
    assert "1 task was accepted and may be paid for: bee (task_not_exist)" in retried.stderr
    assert "`batchrunner collect batch.run` looks again, free; name them to pay again" in retried.stderr
    vanished.check(vanished.run(), 1, again={"cat": 1})
    assert vanished.states() == {"ant": "done", "bee": "failed", "cat": "done"}
    assert len(sim.charges("bee")) == 1, "nobody said to pay for it again"

    none_left = vanished.do("retry", "batch.run", "--failed")
    assert (none_left.code, none_left.stdout) == (2, "")
    assert "bee (task_not_exist)" in none_left.stderr
    assert "batchrunner collect batch.run" in none_left.stderr
    assert vanished.states()["bee"] == "failed"

    named = vanished.do("retry", "batch.run", "bee")
    assert named.code == 0
    assert "accepted and may be paid for" in named.stderr
    assert "paid for twice" in named.stderr
    assert vanished.states()["bee"] == "pending"


def test_what_to_type_next_begins_with_what_is_free_and_says_nothing_twice(desk: Any, sim: Any) -> None:
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


def test_a_finished_video_is_fetched_by_its_link_though_the_key_is_refused(desk: Any, sim: Any) -> None:
    """Revoked between two runs, the key is not needed for what has a link; nothing is sent, exit 4."""
    sim.start({"on": "download", "do": "slow", "seconds": 5000, "times": 1})
    desk.write("ant")
    run = desk.start_run()
    desk.until(sim.downloads, "the download")
    run.killed()
    desk.write("ant", "bee")
    sim.start({"on": "models", "do": "401"})
    desk.check(desk.run(), 4)
    assert desk.states() == {"ant": "done", "bee": "pending"}
    assert sim.posts() == 0
    assert not sim.requests()["GET file server with Authorization"]
