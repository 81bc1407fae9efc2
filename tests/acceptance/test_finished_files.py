"""What becomes of finished videos later: moved, deleted, edited; and of a results.csv that people open."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_directory import update_ledger

IDS = ("ant", "bee", "cat")


@pytest.fixture
def done(desk: Any, sim: Any) -> Any:
    """A desk whose three videos are made; the counts of requests begin anew."""
    sim.start()
    desk.write(*IDS)
    desk.check(desk.run(), 0)
    sim.start()
    return desk


def video(desk: Any, task_id: str) -> Path:
    """The file of a finished video."""
    return Path(desk.directory / "videos" / f"{task_id}.mp4")


def asked(desk: Any) -> int:
    """How many requests of any kind were made."""
    return sum(desk.gateway.requests().values())


def long_ago(desk: Any) -> None:
    """Let the generations have ended a long time ago, as far as the ledger knows."""
    update_ledger(desk.directory, "attempts SET finished_at = finished_at - 1000000")


def collect(desk: Any, *arguments: str) -> Any:
    return desk.do("collect", "batch.run", "--time-scale", str(desk.gateway.scale), *arguments)


def test_videos_that_were_moved_away_stay_done_and_cost_nothing(done: Any) -> None:
    """Every later run and collect: exit 0, no request, the file name in the row, and a warning there."""
    archive = done.folder / "archive"
    archive.mkdir()
    video(done, "ant").rename(archive / "ant.mp4")
    for command in (done.run, done.run, lambda: collect(done)):
        assert command().code == 0
        row = done.row("ant")
        assert (row["state"], row["file_name"]) == ("done", "videos/ant.mp4")
        assert row["warnings"] == "videos/ant.mp4 was moved or deleted"
        assert (done.row("bee")["warnings"], done.row("bee")["state"]) == ("", "done")
    assert asked(done) == 0
    (archive / "ant.mp4").rename(video(done, "ant"))
    done.check(done.run(), 0)
    assert done.row("ant")["warnings"] == ""


def test_a_missing_video_is_reported_when_first_seen(done: Any) -> None:
    """With the way to fetch it again; not every night anew."""
    video(done, "ant").unlink()
    assert "collect batch.run --missing" in done.run().stderr
    assert "missing" not in done.run().stderr


def test_results_checks_the_files_too(done: Any) -> None:
    """`batchrunner results` tells of what was moved since the last run."""
    video(done, "ant").unlink()
    assert done.do("results", "batch.run").code == 0
    assert done.row("ant")["warnings"]
    assert done.row("ant")["file_name"]


def test_missing_videos_are_fetched_again_on_a_persons_word_without_a_charge(done: Any) -> None:
    """`collect --missing` brings back what is gone, and nothing else is asked for."""
    before = done.row("ant")
    video(done, "ant").unlink()
    done.check(collect(done, "--missing"), 0)
    assert {**done.row("ant"), "collected_at": ""} == {**before, "collected_at": ""}
    assert (done.gateway.posts(), done.gateway.downloads()) == (0, 1)


def test_a_missing_video_whose_links_have_expired_stays_done(done: Any) -> None:
    """The word could not be carried out: exit 1, once. The task is done, and no later run asks."""
    done.gateway.start(link_seconds=0)
    video(done, "ant").unlink()
    long_ago(done)
    refused = collect(done, "--missing")
    assert refused.code == 1
    assert "1 missing video could not be downloaded again" in refused.stdout
    row = done.row("ant")
    assert (row["state"], row["file_name"], row["error_code"]) == ("done", "videos/ant.mp4", "")
    assert "no longer has the video" in row["warnings"]
    before = asked(done)
    assert done.run().code == 0
    assert asked(done) == before
    assert len(done.gateway.charges()) == len(IDS)


def test_a_run_killed_while_fetching_a_missing_video_loses_nothing(done: Any) -> None:
    """A kill between the two states loses nothing: the next run carries the word out."""
    done.gateway.start({"on": "download", "do": "hang", "source": "both", "seconds": 100_000})
    video(done, "ant").unlink()
    fetching = done.start("collect", "batch.run", "--missing", "--time-scale", str(done.gateway.scale))
    done.until(done.gateway.downloads, "a download")
    fetching.killed()
    done.gateway.start()
    done.check(done.run(), 0)
    assert done.gateway.posts() == 0


def test_a_video_that_was_changed_in_place_is_left_alone(done: Any) -> None:
    """A cut file, and one that was edited: a warning each, done, not overwritten, not even by --missing."""
    video(done, "ant").write_bytes(b"cut")
    edited = bytearray(video(done, "bee").read_bytes())
    edited[-1] ^= 1
    video(done, "bee").write_bytes(edited)
    later = video(done, "bee").stat().st_mtime + 10
    os.utime(video(done, "bee"), (later, later))
    for command in (done.run, lambda: collect(done, "--missing")):
        assert command().code == 0
        for task_id in ("ant", "bee"):
            assert "changed or replaced after the download" in done.row(task_id)["warnings"]
            assert done.row(task_id)["state"] == "done"
        assert done.row("cat")["warnings"] == ""
    assert (video(done, "ant").read_bytes(), video(done, "bee").read_bytes()) == (b"cut", bytes(edited))
    assert asked(done) == 0


def test_links_known_to_be_dead_are_asked_again_by_a_person_only(desk: Any, sim: Any) -> None:
    """One question to each source, then none; the row says what is left. Nothing is paid again."""
    sim.start({"on": "download", "do": "502", "source": "both"}, scale=0.001)
    desk.write("ant")
    desk.check(desk.run(), 1)
    sim.start(link_seconds=0)
    long_ago(desk)
    desk.check(desk.run(), 1)
    assert sim.downloads() == 2
    row = desk.row("ant")
    assert row["error_code"] == "link_expired"
    assert row["remote_id"] in row["error_message"]
    before = asked(desk)
    again = desk.run()
    desk.check(again, 1)
    assert asked(desk) == before
    assert "retry" not in again.stdout
    desk.check(collect(desk), 1)
    assert sim.downloads() == 4
    sim.start()
    desk.check(collect(desk), 0)
    assert sim.posts() == 0


def test_the_videos_folder_may_be_moved_away(done: Any) -> None:
    """It is made again, empty; what is done stays done, and new videos take no old name."""
    (done.directory / "videos").rename(done.folder / "archive")
    assert done.run().code == 0
    assert all(row["warnings"] for row in done.rows())
    done.write(*IDS[1:], {"id": "ant", "prompt": "ant sleeps under a leaf"})
    assert done.run().code == 0
    assert done.row("ant")["file_name"] not in ("", "videos/ant.mp4")
    assert len(list((done.directory / "videos").glob("*.mp4"))) == 1
    assert done.gateway.posts() == 1


def test_videos_may_lie_on_another_disk(desk: Any, sim: Any, tmp_path: Path) -> None:
    """`videos` is a link to a folder elsewhere: everything comes there, also after a kill."""
    sim.start()
    desk.write("ant", "bee")
    desk.directory.mkdir()
    elsewhere = tmp_path / "other-disk"
    elsewhere.mkdir()
    (desk.directory / "videos").symlink_to(elsewhere)
    desk.start_run().reached(1, "accepted").killed()
    done = desk.run()
    assert done.code in (0, 3)
    assert {path.suffix for path in elsewhere.glob("[!.]*")} <= {".mp4"}
    assert done.code == 3 or len(list(elsewhere.glob("*.mp4"))) == 2


def test_a_link_into_an_archive_that_is_not_mounted_is_left_alone(done: Any) -> None:
    """A warning; neither a run nor --missing takes the name, and with the archive back all is well."""
    archive = done.folder / "archive"
    archive.mkdir()
    video(done, "ant").rename(archive / "ant.mp4")
    video(done, "ant").symlink_to(archive / "ant.mp4")
    archive.rename(done.folder / "unmounted")
    for command in (done.run, lambda: collect(done, "--missing")):
        assert command().code == 0
        assert done.row("ant")["warnings"] == "videos/ant.mp4 is a broken symlink"
    assert video(done, "ant").is_symlink()
    (done.folder / "unmounted").rename(archive)
    done.check(done.run(), 0)
    assert done.row("ant")["warnings"] == ""
    assert asked(done) == 0


def test_results_csv_is_not_written_when_nothing_changed(done: Any) -> None:
    """Its time stays as it was, whatever command looks at it."""
    path = done.directory / "results.csv"
    os.utime(path, (1, 1))
    before = path.stat()
    for command in (
        done.run,
        lambda: collect(done),
        lambda: done.do("results", "batch.run"),
        lambda: done.do("retry", "batch.run", "--failed"),
        lambda: done.do("resolve", "batch.run", "--all", "--lost"),
        lambda: done.do("resolve", "batch.run", "--auto", "--time-scale", str(done.gateway.scale)),
    ):
        assert command().code == 0
        assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert not path.with_name("results.csv.bak").exists()


def test_a_results_csv_that_somebody_changed_is_kept(done: Any) -> None:
    """Each edited version has a copy of its own, told of; none is written over, and none made twice."""
    path = done.directory / "results.csv"
    ours = path.read_bytes()
    first, second = ours + b"my note\r\n", b"\xef\xbb\xbf" + ours
    path.write_bytes(first)
    assert "results.csv.bak" in done.run().stderr
    assert (path.read_bytes(), path.with_name("results.csv.bak").read_bytes()) == (ours, first)
    path.write_bytes(second)
    assert "results.csv.bak2" in done.do("results", "batch.run").stderr
    path.write_bytes(first)
    done.run()
    assert path.read_bytes() == ours
    kept = {found.name: found.read_bytes() for found in done.directory.glob("results.csv.*")}
    assert kept == {"results.csv.bak": first, "results.csv.bak2": second}


def test_a_file_for_excel_stays_one_in_later_runs(done: Any) -> None:
    """The run directory remembers it, also when nothing is to be done; another choice is remembered, too."""
    path = done.directory / "results.csv"
    assert done.do("results", "batch.run", "--excel").code == 0
    done.write(*IDS, "dog")
    done.check(done.run(), 0)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,")
    done.run()
    done.do("retry", "batch.run", "ant", "--again")
    assert path.read_bytes().startswith(b"\xef\xbb\xbfid,")
    assert done.do("results", "batch.run", "--no-excel").code == 0
    done.run()
    assert path.read_bytes().startswith(b"id,")
    assert list(done.directory.glob("results.csv.*")) == []


def test_files_the_program_wrote_itself_are_not_kept_as_backups(done: Any) -> None:
    """With --excel, with --all, after a change of state, after a kill: no copy."""
    done.do("results", "batch.run", "--excel")
    done.run()
    done.do("results", "batch.run", "--all")
    done.write(*IDS, "dog")
    done.start_run().reached(1, "accepted").killed()
    assert done.run().code in (0, 3)
    done.do("retry", "batch.run", "ant", "--again")
    shutil.rmtree(done.directory / "videos")
    done.run()
    assert list(done.directory.glob("results.csv.*")) == []
