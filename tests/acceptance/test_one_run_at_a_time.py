"""One run at a time in a folder: a second command ends at once and touches nothing."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_directory import sha256_of

COMMANDS = {
    "run": ("run", "batch.yaml"),
    "retry": ("retry", "batch.run", "--failed"),
    "resolve --lost": ("resolve", "batch.run", "--all", "--lost"),
    "resolve --auto": ("resolve", "batch.run", "--auto"),
    "collect": ("collect", "batch.run"),
    "results": ("results", "batch.run"),
}


@pytest.fixture
def running(desk: Any, sim: Any) -> Any:
    """A desk on which a run works: one task is failed, one in doubt, one generates for ever."""
    sim.start(
        {"on": "submit", "do": "cut_after_accept", "prompt": "bee*"},
        generation_seconds=1_000_000,
        usage_log=False,
    )
    desk.write({"id": "ant", "prompt": "ark:inputmod"}, "bee", "cat", concurrency=1, task_deadline="8000h")
    desk.run_under_way = desk.start_run().reached(1, "accepted")
    # Stopped, the run itself can't change anything while another command is watched; the lock holds.
    desk.run_under_way.stop()
    return desk


def content(folder: Path) -> dict[str, str]:
    """What lies in a folder, by the hash of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path): sha256_of(path) for path in files}


@pytest.mark.parametrize("lock", ["in its place", "deleted", "replaced"])
@pytest.mark.parametrize("command", COMMANDS)
def test_during_a_run_no_other_command_touches_anything(
    running: Any, sim: Any, command: str, lock: str
) -> None:
    """Exit 75 names the folder, with the file `lock` or without it: not a byte changes, no request leaves."""
    file = running.directory / "lock"
    if lock != "in its place":
        file.unlink()
    if lock == "replaced":
        file.touch()
    before, asked = content(running.directory), sim.requests()
    gateway = running.at_gateway() if command in ("run", "collect", "resolve --auto") else []
    done = running.do(*COMMANDS[command], *gateway)
    assert done.code == 75, done.stdout + done.stderr
    assert "another batchrunner" in done.stderr
    after = content(running.directory)
    after.pop(str(file), None)
    before.pop(str(file), None)
    assert after == before
    assert set(sim.requests() - asked) <= {"GET /simulator/requests"}
    running.run_under_way.send(signal.SIGCONT)
    running.run_under_way.killed()


@pytest.mark.parametrize("simulate", [False, True], ids=["at a gateway", "simulated"])
def test_a_second_run_says_nothing_else_first(running: Any, simulate: bool) -> None:
    """No totals of a run that can't begin, and how to follow the one that is on."""
    running.write("ant", "bee", "cat", "dog", confirm_above=0.01)
    gateway = ["--simulate", "-o", "batch.run"] if simulate else running.at_gateway()
    done = running.do("run", "batch.yaml", *gateway)
    assert (done.code, done.stdout) == (75, "")
    assert done.stderr.splitlines() == [
        "batchrunner: another batchrunner is using batch.run",
        "  hint: wait for it to finish, or follow it with `batchrunner status batch.run --watch`",
    ]
    running.run_under_way.send(signal.SIGCONT)
    running.run_under_way.killed()


def test_a_lock_file_left_by_a_killed_run_holds_no_one_up(running: Any, sim: Any) -> None:
    """No stale lock: the next command works at once, without a word about the old one."""
    running.run_under_way.killed()
    assert (running.directory / "lock").exists()
    assert running.do("results", "batch.run").code == 0
    assert sim.posts() == 3
