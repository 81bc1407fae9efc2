"""Run directories that can't be one are refused by what is wrong with them, before anything is made."""

import os
from pathlib import Path
from typing import Any

import pytest


def folder_of(desk: Any, length: int) -> Path:
    """A folder, not made yet, whose whole path has so many bytes."""
    path = desk.folder
    while (left := length - len(os.fsencode(path)) - 1) > 0:
        path /= "d" * min(200, left if left <= 200 or left - 200 > 1 else left - 2)
    assert len(os.fsencode(path)) == length
    return Path(path)


@pytest.mark.parametrize("simulate", [False, True], ids=["at a gateway", "simulated"])
def test_a_path_that_is_too_long_for_sqlite_is_named_with_the_limit(
    desk: Any, web_page: Any, simulate: bool
) -> None:
    """Exit 2 and no folder; `status` of one that is there says the same."""
    desk.write("ant")
    folder = folder_of(desk, 491)
    gateway = ["--simulate"] if simulate else desk.at_gateway(web_page.url)
    done = desk.do("run", "batch.yaml", "-o", str(folder), *gateway)
    assert (done.code, "SQLite takes up to 490" in done.stderr) == (2, True), done.stderr
    assert [path.name for path in desk.folder.iterdir() if path.name.startswith("d")] == []
    folder.mkdir(parents=True)
    done = desk.do("status", str(folder))
    assert (done.code, "SQLite takes up to 490" in done.stderr) == (2, True), done.stderr


def test_the_longest_path_works(desk: Any, sim: Any) -> None:
    """The limit that is named is the true one."""
    sim.start()
    desk.write("ant")
    folder = folder_of(desk, 490)
    done = desk.run("-o", str(folder))
    assert done.code == 0, done.stdout + done.stderr
    assert desk.do("status", str(folder)).code == 0


@pytest.mark.parametrize("simulate", [False, True], ids=["at a gateway", "simulated"])
def test_a_dangling_link_as_run_directory_is_called_one(desk: Any, web_page: Any, simulate: bool) -> None:
    """Exit 2 says where it leads; nothing is made there."""
    desk.write("ant")
    (desk.folder / "link").symlink_to("gone")
    gateway = ["--simulate"] if simulate else desk.at_gateway(web_page.url)
    done = desk.do("run", "batch.yaml", "-o", "link", *gateway)
    assert (done.code, "symbolic link to gone" in done.stderr) == (2, True), done.stderr
    assert not (desk.folder / "gone").exists()
    assert "POST" not in web_page.methods


@pytest.mark.parametrize("simulate", [False, True], ids=["at a gateway", "simulated"])
def test_a_file_in_the_place_of_a_folder_is_named(desk: Any, sim: Any, simulate: bool) -> None:
    """As the run directory, above it, or in it; exit 5, and nothing is submitted."""
    sim.start()
    desk.write("ant")
    gateway = ["--simulate"] if simulate else desk.at_gateway()
    (desk.folder / "file").write_text("mine")
    (desk.folder / "place").mkdir()
    (desk.folder / "place/videos").write_text("mine")
    for place, named in (("file", "file"), ("file/night", "file"), ("place", "place/videos")):
        done = desk.do("run", "batch.yaml", "-o", place, *gateway)
        assert (done.code, f"{named} is a file, not a folder" in done.stderr) == (5, True), done.stderr
        assert "hint: move or rename that file" in done.stderr
    assert sim.posts() == 0


def test_status_json_says_the_exit_code_of_its_process(desk: Any, sim: Any) -> None:
    """0 while a run works, whatever the rows are; afterwards what they stand for."""
    sim.start(generation_seconds=100_000)
    desk.write("ant")
    run = desk.start_run().reached(1, "accepted")
    during = desk.do("status", "batch.run", "--json")
    assert (during.code, during.json["exit_code"], during.json["running"]) == (0, 0, True)
    run.killed()
    after = desk.do("status", "batch.run", "--json")
    assert (after.code, after.json["exit_code"], after.json["running"]) == (75, 75, False)


def test_status_says_why_nothing_is_submitted(desk: Any, sim: Any) -> None:
    """During a stall the reason can be read from another shell; afterwards it is gone."""
    sim.start({"on": "submit", "do": "429_retry_after", "seconds": 3000, "times": 1}, scale=0.002)
    desk.write("ant", "bee", concurrency=1)
    run = desk.start_run().reached(1, "not_admitted")
    desk.until(
        lambda: (
            "429" in desk.do("status", "batch.run", "--json").json["waiting_for"] or run.process.poll() == 0
        ),
        "the reason",
    )
    shown = desk.do("status", "batch.run").stdout
    assert "not submitting: rate-limited by the gateway (429)" in shown
    assert run.ended().code == 0
    assert desk.do("status", "batch.run", "--json").json["waiting_for"] == ""
