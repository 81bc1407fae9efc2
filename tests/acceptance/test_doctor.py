"""`batchrunner doctor`: everything that a run needs at a glance, and nothing that is secret."""

import json
from pathlib import Path
from typing import Any

import pytest

CANARY = "c4n4ry-pass"
KEY = "sk-canary-5f0c77aa91d2e4"


def findings(done: Any) -> dict[str, dict[str, Any]]:
    """The findings by subject; the last one, of several."""
    value = json.loads(done.stdout)
    assert value["exit_code"] == done.code
    return {one["subject"]: one for one in value["findings"]}


def examine(desk: Any, *arguments: str, **options: Any) -> Any:
    """`doctor --json` at the simulated gateway."""
    base = ["--base-url", desk.gateway.url] if desk.gateway and desk.gateway.url else []
    return desk.do("doctor", *arguments, "--json", *base, **options)


def files(folder: Path) -> set[Path]:
    """All files, except those with what was printed."""
    return {path for path in folder.rglob("*") if "printed" not in path.parts}


def test_a_machine_that_is_well(desk: Any, sim: Any) -> None:
    """Versions, file system, disk, clock, gateway and key; nothing is left behind, nothing submitted."""
    sim.start()
    before = files(desk.folder)
    done = examine(desk)
    found = findings(done)
    assert done.code == 0, done.stdout
    assert {"batchrunner", "Python", "SQLite", "packages", "file system", "space", "disk"} <= found.keys()
    assert {one["health"] for one in found.values()} <= {"ok", "note"}
    assert found["gateway"]["facts"]["status"]
    assert abs(found["clock"]["facts"]["gateway_ahead_seconds"]) < 60
    assert found["key"]["facts"]["from"] == "EASYROUTER_API_KEY"
    assert "accepted" in found["account"]["text"]
    assert files(desk.folder) == before
    assert sim.posts() == 0


def test_lines_for_people_end_with_a_count(desk: Any, sim: Any) -> None:
    """One line per finding, the health first."""
    sim.start()
    done = desk.do("doctor", "--base-url", sim.url)
    *lines, last = done.stdout.splitlines()
    assert last == "0 problems, 0 warnings"
    assert {line.split()[0] for line in lines} <= {"ok", "note", "hint:"}


def test_no_secret_is_shown(desk: Any, sim: Any) -> None:
    """Neither the key nor the password of a proxy."""
    sim.start()
    desk.environment |= {
        "HTTPS_PROXY": f"http://user:{CANARY}@127.0.0.1:9",
        "NO_PROXY": "localhost,127.0.0.1",
    }
    for options in ((), ("--json",)):
        done = desk.do("doctor", "--base-url", sim.url, *options)
        assert "127.0.0.1:9 for https" in done.stdout
        assert CANARY not in done.stdout + done.stderr
        assert KEY not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("url", "subject", "told"),
    [
        ("http://127.0.0.1:9", "gateway", "Connection refused"),
        ("http://gateway.example", "gateway", "unencrypted"),
        (f"https://user:{CANARY}@gateway.example", "gateway", "can't contain a user"),
    ],
)
def test_an_address_that_does_not_work(desk: Any, url: str, subject: str, told: str) -> None:
    """The reason is told; the other findings are there, too."""
    done = desk.do("doctor", "--base-url", url, "--json")
    found = findings(done)
    assert done.code in (2, 4)
    assert told in found[subject]["text"]
    assert found["SQLite"]["facts"]["version"]
    assert CANARY not in done.stdout + done.stderr


def test_a_key_that_is_missing_or_refused_or_open_to_others(desk: Any, sim: Any) -> None:
    """Each exits with 4 and says what to do; a key file's mode is shown."""
    sim.start()
    assert examine(desk, key=None).code == 4
    refused = examine(desk, key="sk-bad-key")
    assert (refused.code, "refuses the key" in findings(refused)["account"]["text"]) == (4, True)
    file = desk.folder / "key"
    file.write_text(KEY)
    file.chmod(0o644)
    assert "chmod 600" in findings(examine(desk, "--api-key-file", "key", key=None))["key"]["hint"]
    file.chmod(0o600)
    assert findings(examine(desk, "--api-key-file", "key", key=None))["key"]["facts"]["mode"] == "0600"
    file.unlink()


def test_a_run_in_progress_is_named_with_its_process(desk: Any, sim: Any) -> None:
    """By its manifest or its directory; afterwards the lock is free."""
    sim.start(generation_seconds=2000)
    desk.write("ant")
    run = desk.start_run().reached(1, "accepted")
    for name in ("batch.run", "batch.yaml"):
        lock = findings(examine(desk, name))["lock"]["facts"]
        assert lock == {"locked": True, "processes": [run.process.pid]}
    run.killed()
    found = findings(desk.do("doctor", "batch.run", "--json"))
    assert found["lock"]["facts"]["locked"] is False
    assert found["ledger"]["facts"] == {"tasks": 1, "gateway": sim.url}
    assert found["gateway"]["facts"]["from"] == "the run directory or the manifest"


def test_a_broken_manifest_or_ledger_is_a_problem_among_others(desk: Any, sim: Any) -> None:
    """Exit 2; the rest is examined all the same."""
    sim.start()
    desk.manifest.write_text("tasks: 5\n")
    done = examine(desk, "batch.yaml")
    assert (done.code, findings(done)["manifest"]["health"], findings(done)["key"]["health"]) == (
        2,
        "problem",
        "ok",
    )
    desk.directory.mkdir()
    (desk.directory / "ledger.sqlite").write_bytes(b"not a ledger" * 100)
    done = examine(desk, "batch.run")
    assert (done.code, findings(done)["ledger"]["health"]) == (2, "problem")


def test_a_simulated_run_needs_no_key(desk: Any) -> None:
    """Nor a gateway."""
    desk.write("ant")
    assert desk.do("run", "batch.yaml", "--simulate", "--time-scale", "0.001", key=None).code == 0
    done = desk.do("doctor", "batch.simulated", "--json", key=None)
    assert done.code == 0
    assert "simulated" in findings(done)["gateway"]["text"]
