"""A ledger that was put back or copied: what it does not know is found, and not paid for again."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

SIX = ("ant", "bee", "cat", "doe", "eel", "fox")
LOOKS = "GET /api/log/token"
UNREADABLE = [{"do": "refused"}, {"do": "500"}, {"do": "429", "seconds": 1200}]


def put_back(desk: Any, backup: Path, *names: str) -> None:
    """Restore the whole run directory, or only these of its files."""
    if not names:
        shutil.rmtree(desk.directory)
        shutil.copytree(backup, desk.directory, symlinks=True)
    for name in names:
        for path in desk.directory.glob(f"{name}*"):
            path.unlink()
        shutil.copy2(backup / name, desk.directory / name)


@pytest.fixture
def backup(desk: Any, sim: Any, tmp_path: Path) -> Path:
    """A copy of the run directory when two of six tasks were made; the other four were made since."""
    sim.start()
    desk.write(*SIX)
    assert desk.run("--limit", "2").code == 0
    shutil.copytree(desk.directory, tmp_path / "backup")
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 6
    return tmp_path / "backup"


def test_a_restored_run_directory_pays_for_nothing_again(desk: Any, sim: Any, backup: Path) -> None:
    """The whole directory is put back: one look, no POST, all six videos."""
    sim.start()
    put_back(desk, backup)
    done = desk.run()
    desk.check(done, 0)
    desk.check_all_made(len(SIX))
    assert sim.posts() == 0
    assert sim.requests()[LOOKS] == 1
    assert "paid for but missing from this ledger" in done.stderr


def test_a_restored_ledger_alone_pays_for_nothing_again(desk: Any, sim: Any, backup: Path) -> None:
    """Only ledger.sqlite is put back: the videos that lie there are taken, and none is made again."""
    sim.start()
    put_back(desk, backup, "ledger.sqlite")
    desk.check(desk.run(), 0)
    desk.check_all_made(len(SIX))
    assert (sim.posts(), sim.downloads()) == (0, 0)


def test_a_copy_of_the_run_directory_pays_for_nothing_again(desk: Any, sim: Any, backup: Path) -> None:
    """The backup goes on as a copy, as on another machine: it finds what the original has made since."""
    sim.start()
    desk.directory = desk.folder / "copy.run"
    shutil.copytree(backup, desk.directory)
    desk.check(desk.run("-o", "copy.run"), 0)
    desk.check_all_made(len(SIX))
    assert sim.posts() == 0


def test_a_rotated_run_log_says_what_the_older_ledger_lacks(desk: Any, sim: Any, backup: Path) -> None:
    """Neither the usage log nor anything but the compressed part of run.log shows the four: none is paid."""
    sim.start({"on": "usage", "do": "500"})
    log, notice = desk.directory / "run.log", {"at": "2026-11-01T10:00:00.000+00:00", "notice": "x" * 10_000}
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(notice)}\n" * 1_600)
    desk.check(desk.run(), 0)
    assert sorted(path.name for path in desk.directory.glob("run.log*")) == ["run.log", "run.log.1.gz"]
    assert "accepted" not in log.read_text("utf-8")
    (desk.directory / "results.csv").unlink()
    put_back(desk, backup, "ledger.sqlite")
    assert "run.log has later entries than the ledger" in desk.run().stdout
    desk.check_all_made(len(SIX))
    assert sim.posts() == 0


@pytest.mark.parametrize("fault", UNREADABLE, ids=lambda fault: str(fault["do"]))
def test_without_the_log_an_older_ledger_submits_nothing(
    desk: Any, sim: Any, backup: Path, fault: dict[str, Any]
) -> None:
    """run.log goes on where the ledger ends, and the log can't be read: exit 2 before anything is sent."""
    sim.start({"on": "usage"} | fault)
    for name in ("results.csv", "videos"):
        shutil.rmtree(desk.directory / name, ignore_errors=True)
        (desk.directory / name).unlink(missing_ok=True) if name != "videos" else None
    put_back(desk, backup, "ledger.sqlite")
    drop_remote_ids(desk)
    shutil.copytree(backup / "videos", desk.directory / "videos")
    done = desk.run()
    assert done.code == 2, done.stderr
    assert "older" in done.stdout
    assert "batchrunner recover" in done.stdout
    assert sim.posts() == 0


def drop_remote_ids(desk: Any) -> None:
    """Make run.log one of a version that did not keep remote ids."""
    path = desk.directory / "run.log"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    kept = [{name: v for name, v in line.items() if name not in ("remote_id", "seed")} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))


def test_with_the_log_switched_off_an_older_ledger_submits_nothing(desk: Any, sim: Any, backup: Path) -> None:
    """An empty log can't know: what run.log names is taken up, the rest is not sent, exit 2."""
    sim.start(usage_log=False)
    put_back(desk, backup, "ledger.sqlite")
    drop_remote_ids(desk)
    (desk.directory / "results.csv").unlink()
    done = desk.run()
    assert done.code == 2, done.stderr
    assert sim.posts() == 0


def test_a_normal_resume_makes_one_look_up_and_does_not_wait(desk: Any, sim: Any) -> None:
    """Killed with one in doubt and two accepted: the next run looks once, and submits at once."""
    sim.start({"on": "submit", "do": "cut_after_accept", "prompt": "ant*"}, generation_seconds=4000, scale=1)
    desk.write(*SIX, concurrency=2)
    desk.start_run().reached(3, "accepted", "unknown").killed()
    assert len(sim.charges()) == 3
    desk.write(*SIX, concurrency=3)
    run = desk.start_run().reached(1, "claimed")
    assert sim.requests()[LOOKS] == 1
    assert "looking again" not in (desk.directory / "run.log").read_text(encoding="utf-8")
    run.killed()


def test_a_run_with_nothing_pending_makes_no_look_up(desk: Any, sim: Any, backup: Path) -> None:
    """A run that finds nothing to submit asks nothing."""
    sim.start()
    desk.check(desk.run(), 0)
    assert sim.requests()[LOOKS] == 0


def test_submission_waits_for_tasks_that_are_still_generating(desk: Any, sim: Any, tmp_path: Path) -> None:
    """The log shows submissions without a task yet: submission waits for their seeds, and pays for none."""
    sim.start(scale=0.01, generation_seconds=120)  # it waits for 1,800 s at most: some time on a busy machine
    desk.write(*SIX)
    assert desk.run("--limit", "2").code == 0
    shutil.copytree(desk.directory, tmp_path / "backup")
    desk.start_run().reached(4, "accepted").killed()
    put_back(desk, tmp_path / "backup")
    desk.check(desk.run(), 0)
    desk.check_all_made(len(SIX))
    assert sim.posts() == 6


def test_a_task_that_still_generates_is_waited_for_though_others_have_ended(
    desk: Any, sim: Any, tmp_path: Path
) -> None:
    """Submitted within one second, three are found at once, and the fourth is not paid for again."""
    sim.start({"on": "generate", "do": "slow", "prompt": "fox*", "factor": 12}, generation_seconds=60)
    desk.write(*SIX)
    assert desk.run("--limit", "2").code == 0
    shutil.copytree(desk.directory, tmp_path / "backup")
    desk.start_run().reached(4, "accepted").killed()
    desk.until(lambda: sim.settled(but=1), "the end of all generations but one")
    put_back(desk, tmp_path / "backup")
    desk.check(desk.run(), 0)
    assert sim.posts() == 6


def test_a_manifest_seed_counts_with_a_claim_in_run_log(desk: Any, sim: Any, tmp_path: Path) -> None:
    """run.log has the claim of a task whose seed the manifest gives: it is ours, and not paid again."""
    sim.start()
    bee = {"id": "bee", "prompt": "bee walks along the shore", "metadata": {"seed": 77}}
    desk.write("ant", bee)
    assert desk.run("--limit", "1").code == 0
    shutil.copytree(desk.directory, tmp_path / "backup")
    desk.check(desk.run(), 0)
    put_back(desk, tmp_path / "backup", "ledger.sqlite", "results.csv")
    drop_remote_ids(desk)
    (desk.directory / "videos" / "bee.mp4").unlink()
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2


def test_copies_of_a_run_directory_share_seeds_and_others_do_not(desk: Any, sim: Any) -> None:
    """Two copies of a directory give an attempt the same seed; another directory gives it another."""
    sim.start()
    desk.write("ant", "bee")
    assert desk.run("--limit", "1").code == 0
    shutil.copytree(desk.directory, desk.folder / "copy.run")
    assert desk.run().code == 0
    with closing(sqlite3.connect(desk.folder / "copy.run" / "ledger.sqlite")) as ledger:
        copied = ledger.execute("SELECT value FROM meta WHERE name = 'run_id'").fetchone()
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT value FROM meta WHERE name = 'run_id'").fetchone() == copied
    assert desk.run("-o", "other.run").code == 0
    (first, other) = sim.charges("ant")
    assert first["seed"] != other["seed"]


def test_the_id_of_the_run_is_beside_the_videos_and_in_run_log(desk: Any, sim: Any) -> None:
    """Written once, before anything is paid; each run notes it in its log, and who was accepted as what."""
    sim.start()
    desk.write("ant")
    assert desk.run().code == 0
    run_id = (desk.directory / "videos" / ".run-id").read_text().strip()
    lines = [json.loads(line) for line in (desk.directory / "run.log").read_text().splitlines()]
    assert lines[0]["run_id"] == run_id
    (accepted,) = [line for line in lines if line.get("event") == "accepted"]
    (charge,) = sim.charges()
    assert (accepted["remote_id"], accepted["seed"]) == (charge["remote_id"], charge["seed"])


def test_a_ledger_beside_other_videos_is_refused(desk: Any, sim: Any) -> None:
    """The ledger of another run was put here: exit 2 before anything is sent, and the hint is free."""
    sim.start()
    desk.write("ant", "bee")
    assert desk.run("--limit", "1", "-o", "other.run").code == 0
    assert desk.run("--limit", "1", "--new").code == 0
    put_back(desk, desk.folder / "other.run", "ledger.sqlite")
    done = desk.run()
    assert done.code == 2
    assert "batchrunner recover" in done.stderr
    assert sim.posts() == 2


def test_a_resume_goes_on_where_the_log_is_switched_off(desk: Any, sim: Any) -> None:
    """Nothing is newer than the ledger: a gateway without a log keeps nobody from going on."""
    sim.start(usage_log=False)
    desk.write("ant", "bee")
    assert desk.run("--limit", "1").code == 0
    done = desk.run()
    desk.check(done, 0)
    assert "usage log" in done.stderr
    assert sim.posts() == 2


def test_another_programs_task_is_waited_for_and_then_left_alone(desk: Any, sim: Any) -> None:
    """Somebody submits with the same key: half an hour at most, then the run goes on and says so."""
    sim.start()
    desk.write("ant", "bee")
    assert desk.run("--limit", "1").code == 0
    sim.start(generation_seconds=300_000)
    body = {"model": "dreamina-seedance-2-0-fast", "prompt": "theirs", "metadata": {"seed": 5}}
    sim.ask("/v1/video/generations", body)
    run = desk.start_run().reached(1, "claimed")
    assert "can't tell whether" in run.stderr
    assert run.stderr.count("checking again before submitting") == 1
    assert 2 <= sim.requests()[LOOKS] <= 13
    run.killed()
    assert len(sim.charges("bee")) <= 1


def test_a_lookalike_with_the_manifests_seed_is_named_and_not_taken(desk: Any, sim: Any) -> None:
    """Somebody used the seed that the manifest gives: it is said, and ours is made."""
    sim.start()
    bee = {"id": "bee", "prompt": "bee walks along the shore", "metadata": {"seed": 77}}
    desk.write("ant", bee)
    assert desk.run("--limit", "1").code == 0
    theirs = {"resolution": "480p", "ratio": "16:9", "seed": 77, "duration": 4}
    body = {"model": "dreamina-seedance-2-0-fast", "prompt": "theirs", "duration": 4, "metadata": theirs}
    remote_id = sim.ask("/v1/video/generations", body)["id"]
    desk.until(sim.settled, "the end of the generation")
    done = desk.run()
    desk.check(done, 0, former=["theirs"])
    assert f"{remote_id} has the seed" in done.stderr
    assert len(sim.charges("bee")) == 1


def test_a_run_goes_on_after_recover(desk: Any, sim: Any, backup: Path) -> None:
    """A person had all looked through: what is newer than the ledger keeps the next run no longer back."""
    sim.start(usage_log=False)
    put_back(desk, backup, "ledger.sqlite", "results.csv")
    desk.write(*SIX, "gnu")
    recovered = desk.do("recover", desk.manifest.name, "-o", str(desk.directory), *desk.at_gateway())
    assert recovered.code == 75, recovered.stderr
    desk.check(desk.run(), 0)
    assert sim.posts() == 1


def test_a_doubt_that_only_run_log_knows_is_in_doubt_again(desk: Any, sim: Any, tmp_path: Path) -> None:
    """The ledger of before the doubt is put back: run.log says that bee left; it is not sent again."""
    sim.start({"on": "submit", "do": "cut_before_accept", "prompt": "bee*"})
    desk.write("ant", "bee", "cat", concurrency=1)
    assert desk.run("--limit", "1").code == 0
    shutil.copytree(desk.directory, tmp_path / "backup")
    desk.start_run().reached(1, "unknown").reached(1, "collected").killed()
    put_back(desk, tmp_path / "backup", "ledger.sqlite")
    done = desk.run()
    desk.check(done, 3)
    assert desk.states() == {"ant": "done", "bee": "in_doubt", "cat": "done"}
    assert "now in doubt (bee)" in done.stderr
    assert (sim.posts(), len(sim.charges())) == (3, 2)


def test_a_newer_version_that_the_ledger_lacks_is_had_for_free(desk: Any, sim: Any, tmp_path: Path) -> None:
    """It was wanted and paid for; it isn't one that the current video has replaced."""
    sim.start()
    desk.write("ant")
    assert desk.run().code == 0
    shutil.copytree(desk.directory, tmp_path / "backup")
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    put_back(desk, tmp_path / "backup", "ledger.sqlite")
    desk.write("ant", "bee")
    assert desk.run().code == 0
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    assert (len(sim.charges("ant")), desk.row("ant")["remote_id"]) == (2, sim.charges("ant")[1]["remote_id"])
