"""What the disk may do to a run: too full, too slow, not to be written."""

import os
from pathlib import Path
from typing import Any

import pytest

SLOW_FSYNC = """
import os, time

fsync, left = os.fsync, [1]

def slow(fd):
    if left and "results.csv" in os.readlink(f"/proc/self/fd/{fd}"):
        left.pop()
        time.sleep(2.5)
    fsync(fd)

os.fsync = slow
"""
"""Python runs this at its start: the first fsync of a results.csv takes its time."""


@pytest.fixture
def slow_disk(desk: Any, tmp_path: Path) -> Any:
    """A desk whose disk takes 2.5 s for the first results.csv that it is given."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(SLOW_FSYNC, encoding="utf-8")
    desk.environment["PYTHONPATH"] = str(tmp_path / "slow")
    return desk


def test_the_last_results_csv_stands_though_an_earlier_one_was_slow_to_write(
    slow_disk: Any, sim: Any
) -> None:
    """A refresh that the disk holds up until after the run's end does not replace the final file."""
    sim.start()
    slow_disk.write("ant", "bee", "cat", concurrency=1)
    slow_disk.check(slow_disk.run(), 0)
    assert set(slow_disk.states().values()) == {"done"}


@pytest.mark.parametrize("simulate", [False, True], ids=["at a gateway", "simulated"])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_asked(
    desk: Any, web_page: Any, simulate: bool
) -> None:
    """Exit 5 where the run directory can't be made or written, with a simulated gateway too."""
    desk.write("ant")
    if os.access("/", os.W_OK):  # nothing is read-only for the superuser
        desk.directory.write_text("a file where the folder should be", encoding="utf-8")
    else:
        desk.directory.mkdir(mode=0o500)
    gateway = ["--simulate", "-o", "batch.run"] if simulate else desk.at_gateway(web_page.url)
    done = desk.do("run", "batch.yaml", *gateway)
    assert done.code == 5, done.stderr
    assert "batch.run" in done.stderr
    assert "POST" not in web_page.methods


def test_a_disk_that_is_too_full_stops_before_the_first_post(desk: Any, sim: Any) -> None:
    """Exit 5 where the reserve is larger than what is free; with room the same command goes on."""
    sim.start()
    desk.write("ant", disk_reserve="900TB")
    done = desk.run()
    desk.check(done, 5)
    assert "free disk space" in done.stdout
    assert sim.posts() == 0
    desk.write("ant")
    desk.check(desk.run(), 0)
