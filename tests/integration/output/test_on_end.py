"""The command at the end of a run, and what is too slow for it."""

import os
import signal
from pathlib import Path

import pytest

from batchrunner.core.errors import ExitCode, most_urgent
from batchrunner.output import notification, on_end
from batchrunner.output.on_end import start_on_end
from tests.harness.processes import until

PATH = {"PATH": os.environ["PATH"]}


def runs(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_a_command_that_does_not_end_is_stopped_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    """SIGTERM, then SIGKILL: also what ignores the first, and what runs in its background."""
    monkeypatch.setattr(on_end, "GRACE", 0.2)
    command = f"{trap}echo $$ > pids; (sleep 1000 & echo $! >> pids); sleep 1000"

    def no_time(process: object, summary: bytes, timeout: float) -> None:
        until(
            lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2, "pids"
        )
        raise on_end.subprocess.TimeoutExpired("sh", timeout)

    monkeypatch.setattr(on_end.subprocess.Popen, "communicate", no_time)
    assert start_on_end(command, b"{}", PATH, tmp_path) == "it was stopped after 60 s"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    until(lambda: not any(map(runs, pids)), "the end of all of them")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_command_need_not_read_the_summary(tmp_path: Path) -> None:
    """However long it is."""
    assert start_on_end("true", b"x" * 1_000_000, PATH, tmp_path) == ""
    assert start_on_end("true", b"", PATH, tmp_path / "nowhere").startswith("it can't be started")
    assert start_on_end("tr\0ue", b"", PATH, tmp_path).startswith("it can't be started")


def test_a_message_is_short_and_has_no_control_characters() -> None:
    """The counts and the place of the results, or the error."""
    values = {
        "exit_code": 1,
        "counts": {"done": 2, "failed": 1, "pending": 0},
        "results": "a\x1b[31m.run/results.csv",
    }
    assert notification.message(values) == (
        "batchrunner: exit code 1",
        "2 of 3 tasks done\n2 done\n1 failed\na [31m.run/results.csv",
    )
    error = {"exit_code": 2, "error": "no\u202e manifest", "hint": "write one"}
    assert notification.message(error)[1] == "no  manifest\nwrite one"


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    """Scheme, host and port; of other services, the scheme."""
    assert (
        notification.shown("https://me:secret@Example.com:8443/secret?secret#secret")
        == "https://example.com:8443"
    )
    assert notification.shown("tgram://secret/secret") == "tgram"
    assert notification.shown("http://[") == ""


def test_the_most_urgent_exit_code_is_that_of_the_whole() -> None:
    """A signal first, then what only a person can mend; every code has its rank."""
    assert most_urgent([0, 1, 75, 3]) == 3
    assert most_urgent([2, 5, 0]) == 5
    assert most_urgent([1, 130]) == 130
    assert most_urgent([]) == 0
    assert [most_urgent([code, 0]) for code in ExitCode] == list(ExitCode)
