"""Videos that a cluster fetches: whatever becomes of the process that uses it, each is there, once."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from batchrunner.core.states import TaskState
from tests.harness.processes import until

FAKE = Path(__file__).with_name("fake_child.py")


@pytest.fixture
def child(tmp_path):
    """The command of a child with a behaviour, and its log."""
    log = tmp_path / "child.log"
    return lambda behaviour: (sys.executable, str(FAKE), behaviour, str(log)), log


def test_worker_leaves_the_file_and_the_run_names_it(bench, answers, child, video, on_disk):
    """The link is asked first, by the child; the run notes the hash, renames the file, and records it."""
    command, log = child
    record, files = bench([answers.reply(500)], [answers.whole()], child=command("good"))
    assert record.state is TaskState.DONE
    assert on_disk() == {"cat.mp4": video}
    assert (record.size, record.sha256) == (len(video), hashlib.sha256(video).hexdigest())
    assert (record.width, record.height, record.fps, record.duration) == (64, 48, 24.0, 1.0)
    assert files.asked == ["link"]
    assert files.exchanges[0].headers["user-agent"].startswith("python-urllib")
    assert '"number": 1' in log.read_text()


def test_child_gets_neither_key_nor_passwords(bench, answers, child, monkeypatch):
    """Nothing of the child's environment, arguments and input leads to the key or to a proxy's password."""
    monkeypatch.setenv("EASYROUTER_API_KEY", "sk-canary")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/canary")
    monkeypatch.setenv("https_proxy", "http://bob:canary@127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "for-workers-here")
    command, log = child
    record, _ = bench([answers.reply(500)], [answers.whole()], child=command("good"))
    assert record.state is TaskState.DONE
    assert "canary" not in log.read_text()
    assert "for-workers-here" in log.read_text()


@pytest.mark.parametrize("behaviour", ["dies", "garbage", "another shape", "no", "outside", "cut", "twice"])
def test_every_fault_of_the_child_leaves_one_whole_video(bench, answers, child, video, on_disk, behaviour):
    """What the child can't do is done here, from the same link; nothing else stays on the disk."""
    command, _ = child

    async def story(parts):
        for task in parts.tasks:
            await parts.collector.collect(task.key)
        return [await parts.ledger.task(task.key) for task in parts.tasks], parts.notices

    records, notices = bench(
        [answers.reply(500)], [answers.whole()], story, ids=("ant", "bee"), child=command(behaviour)
    )
    assert {record.state for record in records} == {TaskState.DONE}
    assert on_disk() == {"ant.mp4": video, "bee.mp4": video}
    *troubles, total = notices
    assert bool(troubles) == (behaviour in ("dies", "garbage", "another shape", "no"))
    assert total.startswith("2 videos" if behaviour == "twice" else "0 videos")


def test_hanging_child_is_given_up(bench, answers, child, video, on_disk):
    """A job without an answer is done here once patience ends."""
    command, _ = child
    record, _ = bench([answers.reply(500)], [answers.whole()], child=command("hangs"), patience=0.0001)
    assert record.state is TaskState.DONE
    assert on_disk() == {"cat.mp4": video}


def test_child_is_started_again(bench, answers, child, video, on_disk):
    """The first child dies with a job; the second one does the next job."""
    command, log = child

    async def story(parts):
        first, second = parts.tasks
        await parts.collector.collect(first.key)
        await asyncio.to_thread(until, lambda: log.read_text().count('"cluster"') == 2, "the second child")
        await parts.collector.collect(second.key)
        return [exchange.headers["user-agent"][:6] for exchange in parts.files.exchanges]

    agents = bench(
        [answers.reply(500)],
        [answers.whole()],
        story,
        ids=("ant", "bee"),
        child=command("dies once"),
        starts=(0.0, 0.0),
    )
    assert agents == ["batchr", "python"]
    assert on_disk() == {"ant.mp4": video, "bee.mp4": video}


def test_missing_program_is_no_obstacle(bench, answers, video, on_disk):
    """Without a child, everything is fetched here."""
    record, _ = bench([answers.reply(500)], [answers.whole()], child=("/nonexistent/program",))
    assert record.state is TaskState.DONE
    assert on_disk() == {"cat.mp4": video}


@pytest.mark.parametrize(
    ("behaviour", "asked", "missing"),
    [("good", 1, 0), ("outside", 2, 0), ("no", 1, 0), ("dies", 1, 0), ("good", 2, 1)],
)
def test_worker_saves_the_last_frame(bench, answers, child, video, on_disk, behaviour, asked, missing):
    """It is beside the video, and named in the row; what the cluster can't do is done here."""
    command, _ = child
    picture = b"\xff\xd8\xff picture \xff\xd9"
    link = [answers.whole()] * (2 if behaviour == "outside" else 1)
    link += [answers.reply(404)] * missing + [answers.reply(200, picture, "image/jpeg")]
    record, files = bench([answers.reply(500)], link, child=command(behaviour), with_frame=True)
    assert (record.state, record.last_frame_file) == (TaskState.DONE, "videos/cat-last-frame.jpg")
    assert on_disk() == {"cat.mp4": video, "cat-last-frame.jpg": picture}
    assert sum(exchange.path == "/frame.jpg" for exchange in files.exchanges) == asked
