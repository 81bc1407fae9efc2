"""Runs whose videos are stored in a folder elsewhere, such as that of a mounted disk."""

from pathlib import Path
from typing import Any

import pytest

from tests.harness.run_directory import lose_ledger


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that is there: the disk is mounted."""
    folder = tmp_path / "mnt" / "my nas"
    folder.mkdir(parents=True)
    return folder


def names(place: Path) -> list[str]:
    """What is in the folder."""
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def test_videos_are_stored_in_the_folder(desk: Any, sim: Any, place: Path) -> None:
    """By the option or the manifest, with all promises; the same command resumes without it, too."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run("--videos", f"file://{place}/"), 0)
    desk.write("ant", "bee", videos=f"file://{place}")
    desk.check(desk.run(), 0)
    desk.write("ant", "bee", "cat")
    desk.check(desk.run(), 0)
    assert names(place) == ["videos/.run-id", "videos/ant.mp4", "videos/bee.mp4", "videos/cat.mp4"]
    assert (desk.directory / "videos").resolve() == place / "videos"
    assert len(sim.charges()) == 3
    for command in (["status", "batch.run"], ["results", "batch.run"], ["report", "batch.run"]):
        assert desk.do(*command).code == 0
    assert desk.do("export", "batch.run", "--format", "hf", "-o", "set").code == 0
    assert not [row["warnings"] for row in desk.rows() if row["warnings"]]


def test_killed_run_resumes_there(desk: Any, sim: Any, place: Path) -> None:
    """No video is paid for or stored twice."""
    sim.start()
    desk.write("ant", "bee", "cat", videos=f"file://{place}", concurrency=1)
    command = desk.start_run()
    desk.until((place / "videos" / "ant.mp4").exists, "the first video")
    command.killed()
    desk.until(sim.settled, "the generations to end")
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 3


def test_disk_that_is_not_mounted(desk: Any, sim: Any, place: Path) -> None:
    """Neither at the first start, nor later: nothing is stored where it would be, and nothing paid."""
    sim.start()
    away = place.rename(place.parent / "away")
    desk.write("ant", videos=f"file://{place}")
    ended = desk.run()
    assert (ended.code, sim.charges()) == (5, [])
    assert f"{place} is not a folder" in ended.stderr
    assert "mount its disk" in ended.stderr
    away.rename(place)
    desk.check(desk.run(), 0)
    place.rename(away)
    desk.write("ant", "bee", videos=f"file://{place}")
    ended = desk.run()
    assert ended.code == 5
    assert "broken symlink" in ended.stderr
    assert not place.exists()
    assert len(sim.charges()) == 1
    away.rename(place)
    desk.check(desk.run(), 0)


@pytest.mark.parametrize("first", ["", "another folder"])
def test_run_directory_keeps_to_its_place(desk: Any, sim: Any, place: Path, first: str) -> None:
    """What began elsewhere is not continued in the folder."""
    sim.start()
    if first:
        (place.parent / "other").mkdir()
        first = f"file://{place.parent}/other"
    desk.write("ant", **({"videos": first} if first else {}))
    desk.check(desk.run(), 0)
    desk.write("ant", "bee", videos=f"file://{place}")
    ended = desk.run()
    assert ended.code == 2
    assert "this run directory has its videos at" in ended.stderr
    assert names(place) == []
    assert len(sim.charges()) == 1


def test_folder_of_another_run(desk: Any, sim: Any, place: Path) -> None:
    """Two run directories would name their videos alike: refused before anything is paid."""
    sim.start()
    desk.write("ant", videos=f"file://{place}")
    desk.check(desk.run(), 0)
    ended = desk.run("-o", "other.run")
    assert ended.code == 2
    assert "belong to another run directory" in ended.stderr
    assert len(sim.charges()) == 1


def test_recovered_from_the_folder(desk: Any, sim: Any, place: Path) -> None:
    """The ledger and the symlink are lost, but not the videos: nothing is paid for again."""
    sim.start()
    desk.write("ant", "bee", videos=f"file://{place}")
    desk.check(desk.run(), 0)
    lose_ledger(desk.directory)
    (desk.directory / "videos").unlink()
    ended = desk.do("recover", "batch.yaml", "-o", "batch.run", *desk.at_gateway())
    assert ended.code == 0, ended.stderr
    desk.check(desk.run(), 0)
    assert len(sim.charges()) == 2
