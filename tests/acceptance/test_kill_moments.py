"""SIGKILL at each moment of a submission, and between a video's rename and its commit."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.harness.relay import Hold

STOP_AT_FOLDER = """
import os, time
from pathlib import Path

fsync = os.fsync

def stopping(fd):
    folder = Path(os.readlink(f"/proc/self/fd/{fd}"))
    if folder.name == "videos" and list(folder.glob("*.mp4")):
        Path(__file__).with_name("reached").touch()
        time.sleep(600)
    fsync(fd)

os.fsync = stopping
"""
"""Python runs this at its start: the folder's fsync, right after a video's rename, never ends."""


def asleep(command: Any) -> bool:
    """Whether a thread of a command sleeps, as SQLite does while somebody else holds its file."""
    threads = Path(f"/proc/{command.process.pid}/task").iterdir()
    return any("nanosleep" in (thread / "wchan").read_text() for thread in threads)


@contextmanager
def held(desk: Any) -> Iterator[None]:
    """Hold the ledger's write lock, so that the run stands still before its next commit."""
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("BEGIN IMMEDIATE")
        yield
        ledger.execute("ROLLBACK")


def start_run(desk: Any, relay: Any) -> Any:
    return desk.start_run("--base-url", relay.url)


def run(desk: Any, relay: Any) -> Any:
    return start_run(desk, relay).ended()


def test_a_task_killed_before_its_intent_is_on_disk_is_submitted_once(
    desk: Any, sim: Any, relay: Any
) -> None:
    """Killed while the intent waits for the disk, no POST has left, nothing is in doubt, paid once later."""
    sim.start()
    desk.write("ant")
    first = relay.hold("models")
    command = start_run(desk, relay)
    first.reached()
    with held(desk):
        first.release()
        desk.until(lambda: asleep(command), "the claim to wait for the disk")
        command.killed()
    assert relay.count("submit") == 0
    assert desk.do("status", "batch.run", "ant", "--json").json["state"] == "pending"
    desk.check(run(desk, relay), 0)
    assert desk.row("ant")["attempts"] == "1"
    assert len(sim.charges()) == 1


def test_a_task_killed_after_its_intent_and_never_charged_is_in_doubt(
    desk: Any, sim: Any, relay: Any
) -> None:
    """The POST was on its way and never got through: in doubt all the same, sent once, the others go on."""
    sim.start(usage_log=False)
    desk.write("ant", "bee", concurrency=1)
    hold = relay.hold("submit", "ant")
    command = start_run(desk, relay).reached(1, "claimed")
    hold.reached()
    command.killed()
    relay.clear()
    for _ in range(2):
        done = run(desk, relay)
        assert done.code == 3, done.stderr
        assert desk.states() == {"ant": "in_doubt", "bee": "done"}
        assert "--lost" in done.stdout
    assert relay.count("submit", "ant") == 1


@pytest.mark.parametrize("log", [False, True], ids=["nothing to look it up in", "found in the usage log"])
def test_a_task_killed_after_the_charge_is_found_or_in_doubt_and_never_sent_again(
    desk: Any, sim: Any, relay: Any, log: bool
) -> None:
    """The gateway had charged and its answer had not arrived: in doubt, or adopted; one POST either way."""
    sim.start(usage_log=log)
    desk.write("ant", "bee", concurrency=1)
    hold = relay.hold("submit", "ant", after=True)
    command = start_run(desk, relay)
    hold.reached()
    assert len(sim.charges("ant")) == 1
    command.killed()
    done = run(desk, relay)
    desk.check(done, 0 if log else 3)
    assert desk.states() == {"ant": "done" if log else "in_doubt", "bee": "done"}
    assert relay.count("submit", "ant") == 1


@pytest.mark.parametrize("log", [False, True], ids=["nothing to look it up in", "found in the usage log"])
def test_a_task_killed_after_its_answer_was_read_is_found_or_in_doubt_and_never_sent_again(
    desk: Any, sim: Any, relay: Any, log: bool
) -> None:
    """Killed while the remote id waits for the disk: what is not on disk is not known, and not sent again."""
    sim.start(usage_log=log)
    desk.write("ant")
    hold = relay.hold("submit", after=True)
    command = start_run(desk, relay)
    hold.reached()
    with held(desk):
        hold.release()
        desk.until(lambda: asleep(command), "the acceptance to wait for the disk")
        command.killed()
    assert not command.events("accepted")
    done = run(desk, relay)
    desk.check(done, 0 if log else 3)
    assert relay.count("submit") == 1


def test_a_video_killed_between_rename_and_commit_is_taken_without_a_download(
    desk: Any, sim: Any, tmp_path: Path
) -> None:
    """The file has its name and the ledger doesn't know: the next run verifies it, and asks for nothing."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(STOP_AT_FOLDER, encoding="utf-8")
    desk.environment["PYTHONPATH"] = str(site)
    sim.start()
    desk.write("ant")
    command = desk.start_run()
    desk.until((site / "reached").exists, "the rename")
    command.killed()
    video = desk.directory / "videos" / "ant.mp4"
    before = video.stat()
    assert desk.do("status", "batch.run", "ant", "--json").json["state"] == "collecting"
    downloads = sim.downloads()
    desk.environment.clear()
    desk.check(desk.run(), 0)
    after = video.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (sim.downloads(), len(sim.charges())) == (downloads, 1)


def test_a_part_file_left_before_the_rename_is_removed_and_the_video_fetched_again(
    desk: Any, sim: Any, relay: Any
) -> None:
    """A half video that a kill has left is removed, never named; fetching it again is free."""
    sim.start()
    desk.write("ant")

    def half(exchange: Any) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 9999999\r\n\r\n")
        exchange.raw(bytes(3 << 20))
        hold(exchange)

    hold = Hold()
    relay.rule("content", half, times=1)
    command = start_run(desk, relay)
    videos = desk.directory / "videos"
    desk.until(lambda: list(videos.glob(".*.part")), "the part file")
    command.killed()
    hold.release()
    assert list(videos.glob("*.mp4")) == []
    desk.check(run(desk, relay), 0)
    assert len(sim.charges()) == 1
