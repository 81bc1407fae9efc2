"""A run is known by what it paid for: renamed, copied, linked or moved, a manifest pays for nothing twice."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from batchrunner.core.errors import ExitCode


@pytest.fixture
def paid(desk: Any, sim: Any) -> Any:
    """A desk with a run of two videos, both done; its manifest has no `name`."""
    sim.start()
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    return desk


def run(desk: Any, manifest: str, *arguments: str) -> Any:
    """`batchrunner run` of some manifest, at the desk's gateway."""
    return desk.do("run", manifest, *desk.at_gateway(), *arguments)


def copy(desk: Any, file: str, **changes: Any) -> None:
    """A copy of the desk's manifest under another file name, with other values at its top."""
    value = json.loads(desk.manifest.read_text(encoding="utf-8")) | changes
    (desk.folder / file).write_text(json.dumps(value), encoding="utf-8")


def task(name: str) -> dict[str, str]:
    """A task as `Desk.write` writes it."""
    return {"id": name, "prompt": f"{name} walks along the shore"}


def test_renamed_manifest_is_refused_and_goes_on_with_its_run_directory(paid: Any) -> None:
    """`run` and `plan` exit 2 with the same error, as JSON too; `-o THAT` goes on and charges nothing."""
    paid.manifest.rename(paid.folder / "renamed.yaml")
    refused, planned = run(paid, "renamed.yaml"), paid.do("plan", "renamed.yaml")
    assert (refused.code, planned.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert refused.stderr == planned.stderr
    for said in ("2 of 2 tasks", "batch.run", "-o batch.run", "--new"):
        assert said in refused.stderr
    assert "2 of 2 tasks" in run(paid, "renamed.yaml", "--json").json["error"]
    assert not (paid.folder / "renamed.run").exists()
    paid.check(run(paid, "renamed.yaml", "-o", "batch.run"), 0)
    assert len(paid.gateway.charges()) == 2


def test_partly_paid_copy_is_refused_until_a_person_says_new(paid: Any) -> None:
    """One of two tasks is paid elsewhere: exit 2; `--new` pays and says so; then the plain one goes on."""
    copy(paid, "copy.yaml", tasks=[task("bee"), task("cat")])
    assert "1 of 2 tasks is already paid for, or may be, in batch.run" in run(paid, "copy.yaml").stderr
    assert len(paid.gateway.charges()) == 2
    assert "1 of 2 tasks is already paid for in batch.run" in run(paid, "copy.yaml", "--new").stderr
    assert len(paid.gateway.charges()) == 4
    again = run(paid, "copy.yaml")
    assert (again.code, "paid for in" in again.stderr) == (0, False)
    refused = run(paid, "copy.yaml", "--new")
    assert (refused.code, "already exists" in refused.stderr) == (2, True)
    assert len(paid.gateway.charges()) == 4


def test_equal_names_or_a_neighbour_without_shared_tasks_are_no_reason(paid: Any) -> None:
    """Another manifest of the same `name` beside it, with tasks of its own, runs as ever."""
    copy(paid, "other.yaml", name="batch", tasks=[task("cat")])
    done = run(paid, "other.yaml")
    assert (done.code, "paid for in" in done.stderr) == (0, False)


def test_link_in_another_folder_finds_the_run_beside_the_file(paid: Any) -> None:
    """A symlink is resolved before the default run directory is made from its path."""
    (paid.folder / "links").mkdir()
    (paid.folder / "links" / "tonight.yaml").symlink_to("../batch.yaml")
    assert run(paid, "links/tonight.yaml").code == 0
    assert len(paid.gateway.charges()) == 2
    assert [path.name for path in (paid.folder / "links").iterdir()] == ["tonight.yaml"]


def test_manifest_moved_with_its_run_directory_goes_on(paid: Any) -> None:
    """Both were renamed and moved, and every prompt but one was changed: nothing binds but what was paid."""
    (paid.folder / "archive").mkdir()
    paid.directory.rename(paid.folder / "archive" / "dogs.run")
    copy(paid, "archive/dogs.yaml", tasks=[task("ant"), task("dog")])
    assert run(paid, "archive/dogs.yaml").code == 0
    assert [charge["prompt"].split()[0] for charge in paid.gateway.charges()] == ["ant", "bee", "dog"]


def test_explicit_new_directory_is_a_persons_word_and_says_what_it_pays_again(paid: Any) -> None:
    """`-o NEW` runs, as nightly runs do; `plan` and `run` say in one line what is paid for again."""
    line = "2 of 2 tasks are already paid for in batch.run; this run pays for them again"
    planned = paid.do("plan", "batch.yaml", "-o", "night2", "--json")
    assert (planned.code, planned.json["paid_elsewhere"]) == (
        0,
        {"directory": str(paid.directory), "tasks": 2},
    )
    assert line in planned.stderr
    done = run(paid, "batch.yaml", "-o", "night2")
    assert (done.code, line in done.stderr) == (0, True)
    assert line in (paid.folder / "night2" / "run.log").read_text(encoding="utf-8")
    assert len(paid.gateway.charges()) == 4
    done = run(paid, "batch.yaml", "-o", "night2")
    assert (done.code, "paid for in" in done.stderr) == (0, False)


@pytest.mark.parametrize("command", ["run", "plan", "recover"])
def test_empty_directory_name_is_refused(paid: Any, command: str) -> None:
    """A variable that isn't set must not make the current folder a run directory."""
    before = sorted(path.name for path in paid.folder.iterdir())
    refused = paid.do(command, "batch.yaml", "-o", "")
    assert (refused.code, "the name of the folder is empty" in refused.stderr) == (2, True)
    assert sorted(path.name for path in paid.folder.iterdir() if path.name != "printed") == [
        name for name in before if name != "printed"
    ]


def test_neighbour_with_a_damaged_ledger_is_judged_by_its_other_files(paid: Any) -> None:
    """What its results.csv and run.log name is not paid again; for other tasks it is only mentioned."""
    for path in paid.directory.glob("ledger.sqlite-*"):
        path.unlink()
    (paid.directory / "ledger.sqlite").write_bytes(b"not a database at all" * 400)
    copy(paid, "copy.yaml")
    copy(paid, "other.yaml", tasks=[task("cat")])
    refused = run(paid, "copy.yaml")
    assert (refused.code, "from a backup" in refused.stderr) == (2, True)
    (paid.directory / "results.csv").unlink()
    assert run(paid, "copy.yaml").code == ExitCode.USAGE
    assert len(paid.gateway.charges()) == 2
    done = run(paid, "other.yaml")
    assert (done.code, "batch.run can't be read" in done.stderr) == (0, True)


@pytest.mark.parametrize("ledger", ["gone", "older"])
def test_neighbour_whose_ledger_is_gone_or_older_is_judged_by_its_other_files(
    desk: Any, sim: Any, tmp_path: Path, ledger: str
) -> None:
    """Renamed, with one task taken out, beside a restored or a lost ledger: refused, nothing charged."""
    sim.start()
    desk.write("ant", "bee", "cat")
    assert desk.run("--limit", "1").code == 0
    shutil.copy(desk.directory / "ledger.sqlite", tmp_path / "older")
    desk.check(desk.run(), 0)
    for path in desk.directory.glob("ledger.sqlite*"):
        path.unlink()
    if ledger == "older":
        shutil.copy(tmp_path / "older", desk.directory / "ledger.sqlite")
    copy(desk, "renamed.yaml", tasks=[task("bee"), task("cat")])
    desk.manifest.unlink()
    refused, planned = run(desk, "renamed.yaml"), desk.do("plan", "renamed.yaml")
    assert (refused.code, planned.code) == (ExitCode.USAGE, ExitCode.USAGE)
    assert "2 of 2 tasks" in refused.stderr
    assert len(sim.charges()) == 3


def test_a_neighbour_at_work_is_read_too(desk: Any, sim: Any) -> None:
    """A copy started while the first still generates is refused: what is in flight is paid for."""
    sim.start(generation_seconds=100_000)
    desk.write("ant", task_deadline="1000h")
    first = desk.start_run().reached(1, "accepted")
    shutil.copy(desk.manifest, desk.folder / "copy.yaml")
    refused = run(desk, "copy.yaml")
    first.killed()
    assert (refused.code, "-o batch.run" in refused.stderr) == (ExitCode.USAGE, True)
    assert len(sim.charges()) == 1


def test_refunded_and_refused_tasks_are_no_reason(desk: Any, sim: Any) -> None:
    """What failed for free in one run directory may be tried in another."""
    sim.start()
    desk.write(
        {"id": "bad", "prompt": "ark:inputmod"},
        {"id": "moderated", "prompt": "ark:moderated"},
        max_attempts=1,
    )
    assert desk.run().code == ExitCode.FAILED
    shutil.copy(desk.manifest, desk.folder / "copy.yaml")
    assert desk.do("plan", "copy.yaml").code == 0


def test_simulated_runs_look_at_simulated_runs_only(desk: Any) -> None:
    """A simulated run is nobody's payment for a real one; a simulated copy is refused like a real one."""
    desk.write("ant")
    assert desk.do("run", "batch.yaml", "--simulate").code == 0
    shutil.copy(desk.manifest, desk.folder / "copy.yaml")
    assert desk.do("plan", "copy.yaml").code == 0
    refused = desk.do("plan", "copy.yaml", "--simulate")
    assert (refused.code, "-o batch.simulated" in refused.stderr) == (ExitCode.USAGE, True)
    refused = desk.do("plan", "batch.yaml", "-o", "batch.simulated")
    assert refused.code == 0  # no address is named, so that nothing contradicts yet


def test_manifest_stands_for_its_run_directory_in_every_command(paid: Any) -> None:
    """`status`, `results`, `retry`, `resolve` and `collect` take the manifest; the real run goes first."""
    for command in (["status"], ["results"], ["retry", "--failed"], ["resolve"], ["collect"]):
        done = paid.do(*command, "batch.yaml")
        assert done.code == 0, done.stderr
    shutil.copytree(paid.directory, paid.folder / "batch.simulated")
    done = paid.do("status", "batch.yaml")
    assert "using batch.run; batch.simulated also exists" in done.stderr
    (paid.folder / "other.yaml").write_text("version: 1", encoding="utf-8")
    done = paid.do("status", "other.yaml")
    assert (done.code, "other.run" in done.stderr) == (2, True)
