"""Terminals that vanish, full disks behind stdout, closed pipes and descriptors: the run goes on."""

import json
import os
import pty
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WAITS = {"generation_seconds": 100_000}
"""A night in which every task stays in generation."""


def environment(desk: Any) -> dict[str, str]:
    """What the desk gives its commands, for those that are started here."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(desk.folder),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "EASYROUTER_API_KEY": desk.key,
    }


def shell(desk: Any, *arguments: str, redirect: str) -> subprocess.CompletedProcess[str]:
    """Carry a command out through a shell that redirects its streams."""
    line = f"{shlex.join([sys.executable, '-m', 'batchrunner', *arguments])} {redirect}"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=desk.folder,
        env=environment(desk),
        capture_output=True,
        text=True,
        check=False,
        timeout=desk.patience,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    return done


class Terminal:
    """A command on a terminal of its own, which can vanish."""

    def __init__(self, desk: Any, *arguments: str, controlling: bool) -> None:
        self.master, slave = os.openpty()
        self._desk = desk
        control: Callable[[], None] | None = None
        if controlling:

            def control() -> None:
                os.login_tty(slave)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "batchrunner", *arguments],
            cwd=desk.folder,
            env=environment(desk),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=control,  # noqa: PLW1509  no other thread of this test forks
            start_new_session=not controlling,
        )
        os.close(slave)

    def reached(self, event: str) -> "Terminal":
        """Wait until run.log has an event."""
        log = self._desk.directory / "run.log"
        self._desk.until(lambda: log.exists() and f'"event": "{event}"' in log.read_text("utf-8"), event)
        return self

    def vanish(self) -> int:
        """Close the terminal; return how the command ended."""
        os.close(self.master)
        return self.process.wait(self._desk.patience)


def test_a_run_goes_on_to_its_end_when_its_terminal_has_vanished(desk: Any, sim: Any) -> None:
    """Nobody sends a signal, and every write fails: all videos are made, results.csv is final, exit 0."""
    sim.start()
    desk.write("ant", "bee", "cat", concurrency=1)
    terminal = Terminal(desk, "run", "batch.yaml", *desk.at_gateway(), controlling=False).reached("accepted")
    assert terminal.vanish() == 0
    assert desk.states() == {"ant": "done", "bee": "done", "cat": "done"}
    assert len(sim.charges()) == 3


@pytest.mark.parametrize("ends_with", [0, 1])
def test_a_closed_terminal_changes_neither_the_run_nor_its_exit_code(
    desk: Any, sim: Any, ends_with: int
) -> None:
    """The kernel sends SIGHUP: the run goes on to its end, and results.csv is whole."""
    faults = [{"on": "generate", "do": "fail", "prompt": "cat*"}] if ends_with else []
    sim.start(*faults)
    desk.write("ant", "bee", "cat", concurrency=1)
    terminal = Terminal(desk, "run", "batch.yaml", *desk.at_gateway(), controlling=True).reached("accepted")
    assert terminal.vanish() == ends_with
    assert desk.states() == {"ant": "done", "bee": "done", "cat": "failed" if ends_with else "done"}
    log = (desk.directory / "run.log").read_text("utf-8")
    assert "the terminal is gone; the run goes on" in log
    assert f"ended with {ends_with}" in log
    assert len(sim.charges()) == 3 + ends_with, "a failed generation is refunded, and submitted once more"


def test_a_run_in_the_background_outlives_its_shell(desk: Any, sim: Any) -> None:
    """Logged in, started with `&`, disconnected: shell and kernel send SIGHUP, and the run goes on."""
    sim.start()
    desk.write("ant", "bee", "cat", concurrency=1)
    line = shlex.join([sys.executable, "-m", "batchrunner", "run", "batch.yaml", *desk.at_gateway()])
    child, master = pty.fork()
    if child == 0:
        os.chdir(desk.folder)
        shell = ["bash", "--norc", "-i"]
        os.execvpe("bash", shell, environment(desk) | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")})
    os.write(master, f"{line} & echo $! > pid\n".encode())
    log = desk.directory / "run.log"
    desk.until(lambda: log.exists() and '"event": "accepted"' in log.read_text("utf-8"), "accepted")
    os.close(master)
    os.waitpid(child, 0)
    desk.until(lambda: "ended with" in log.read_text("utf-8"), "the end of the run")
    assert "ended with 0" in log.read_text("utf-8")
    assert set(desk.states().values()) == {"done"}
    assert len(sim.charges()) == 3


def test_sighup_from_elsewhere_stops_a_run_with_129(desk: Any, sim: Any) -> None:
    """The terminal is still there, so this is a person's `kill -HUP`: a clean stop under its own name."""
    sim.start(**WAITS)
    desk.write("ant", "bee", concurrency=1)
    terminal = Terminal(desk, "run", "batch.yaml", *desk.at_gateway(), controlling=True).reached("accepted")
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.process.wait(desk.patience) == 129
    os.close(terminal.master)
    assert desk.states() == {"ant": "generating", "bee": "pending"}
    assert "ended with 129" in (desk.directory / "run.log").read_text("utf-8")
    assert len(sim.charges()) == 1


def test_repeated_sighup_is_named_and_does_no_harm(desk: Any, sim: Any) -> None:
    """Shell and kernel both send one when a terminal goes: the answer in the air is awaited all the same."""
    sim.start({"on": "submit", "do": "slow_accept", "seconds": 600, "times": 1}, usage_log=False, **WAITS)
    desk.write("ant")
    run = desk.start_run()
    desk.until(sim.posts, "the POST")
    run.send(signal.SIGHUP)
    desk.until(lambda: "unanswered submission" in run.stderr, "the countdown")
    run.send(signal.SIGHUP)
    done = run.ended()
    desk.check(done, 129)
    assert "stopped by SIGHUP" in done.stdout
    assert desk.states() == {"ant": "generating"}


def test_a_run_whose_sighup_is_ignored_goes_on(desk: Any, sim: Any) -> None:
    """`nohup` asks for that."""
    sim.start()
    desk.write("ant", "bee", "cat", concurrency=1)
    desk.prefix = ("nohup",)
    run = desk.start_run().reached(1, "accepted")
    run.send(signal.SIGHUP)
    desk.check(run.ended(), 0)


@pytest.mark.parametrize("redirect", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_closed_descriptors_change_nothing(desk: Any, sim: Any, redirect: str) -> None:
    """What is closed is opened on /dev/null: no word gets into a file, and the run is as ever."""
    sim.start()
    desk.write("ant")
    done = shell(desk, "run", "batch.yaml", *desk.at_gateway(), redirect=redirect)
    assert done.returncode == 0, done.stderr
    assert ("1 of 1 task done" in done.stdout) == (">&-" not in redirect.replace("2>&-", ""))
    assert (done.stderr == "") == ("2>&-" in redirect)
    assert desk.states() == {"ant": "done"}
    assert desk.do("status", "batch.run").code == 0
    assert len(sim.charges()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_lost_on_a_full_disk_exits_5_with_one_line(desk: Any, sim: Any) -> None:
    """Of every command; a run carries on to its end first. A full stderr is talk and changes nothing."""
    sim.start()
    desk.write("ant")
    run = ("run", "batch.yaml", *desk.at_gateway())
    for command in (
        *((*run, "--json", "-q"), run, ("plan", "batch.yaml"), ("status", "batch.run")),
        *(("validate", "batch.yaml"), ("results", "batch.run"), ("schema",), ("resolve", "batch.run")),
        *(("--help",), ("run", "--help"), ("--version",), ("status", "batch.run", "ant", "--json")),
    ):
        done = shell(desk, *command, redirect=">/dev/full")
        assert done.returncode == 5, command
        assert done.stderr == "batchrunner: can't write to stdout: No space left on device\n", command
    assert desk.states() == {"ant": "done"}
    assert len(sim.charges()) == 1
    assert shell(desk, "plan", "batch.yaml", redirect="2>/dev/full").returncode == 0
    assert shell(desk, "plan", "nothing.yaml", redirect="2>/dev/full >/dev/full").returncode == 2


def test_a_closed_pipe_is_quiet_and_the_exit_code_is_the_commands_own(desk: Any, sim: Any) -> None:
    """`| head` takes what it wants; also of stderr, also before the first word."""
    sim.start()
    desk.write("ant", "bee")
    for pipe in ("| head -1", "2>&1 >/dev/null | head -1", "| true", "2>&1 | true"):
        for command in (("run", "batch.yaml", *desk.at_gateway()), ("schema",), ("plan", "batch.yaml")):
            done = shell(desk, *command, redirect=pipe)
            assert done.returncode == 0, (command, pipe, done.stderr)
    assert shell(desk, "stauts", redirect="2>&1 | true").returncode == 2
    assert desk.states() == {"ant": "done", "bee": "done"}


def test_a_terminal_gets_the_live_display_and_what_it_can_show(desk: Any, sim: Any) -> None:
    """The streams that never raise are terminals still."""
    sim.start()
    desk.write({"id": "猫", "prompt": "ark:inputmod 猫"})
    heard: list[bytes] = []
    command = [sys.executable, "-m", "batchrunner", "run", "batch.yaml", *desk.at_gateway()]
    child, master = pty.fork()
    if child == 0:
        os.chdir(desk.folder)
        os.execve(sys.executable, command, environment(desk))
    while True:
        try:
            heard.append(os.read(master, 4096))
        except OSError:  # the other side is gone
            break
        if not heard[-1]:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    said = b"".join(heard).decode()
    assert "猫" in said
    assert "\x1b[" in said


def test_a_mistyped_command_or_option_is_answered_with_a_suggestion(desk: Any) -> None:
    """Two lines, exit 2, and JSON stays off stdout."""
    done = desk.do("stauts")
    assert (done.code, done.stdout) == (2, "")
    assert "did you mean `status`?" in done.stderr
    done = desk.do("run", "batch.yaml", "--limt", "3")
    assert (done.code, "did you mean `--limit`?" in done.stderr) == (2, True)
    assert json.dumps(desk.key) not in desk.do("run", "x.yaml", desk.key).stderr
