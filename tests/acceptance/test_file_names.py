"""Names that try to leave the run directory, or to take another's place: refused, or renamed."""

import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest

OUTSIDE = ["../evil", "..", "/etc/evil", "a/../../evil", "a\\evil", "CON", "nul", "con.mp4", ".hidden", "-rf"]
OUTSIDE += ["a\x00b", "a\x1b[31m", "a\u202eb", " a", "a.", "a:b", "x" * 300]


def names(desk: Any) -> list[str]:
    """What lies in the folder for videos."""
    return sorted(path.name for path in (desk.directory / "videos").glob("[!.]*"))


@pytest.mark.parametrize("name", OUTSIDE, ids=ascii)
def test_an_id_that_is_no_plain_name_is_refused_before_anything_is_made(
    desk: Any, web_page: Any, name: str
) -> None:
    """Exit 2 with the place in the manifest; no folder, no request."""
    desk.write({"id": name, "prompt": "a cat"})
    done = desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url))
    assert done.code == 2
    assert "batch.yaml:" in done.stderr
    assert not desk.directory.exists()
    assert web_page.methods == []


def test_names_that_some_file_system_takes_for_one_are_files_of_their_own(desk: Any, sim: Any) -> None:
    """Upper and lower case, composed and decomposed letters: each task has its file, none is overwritten."""
    sim.start()
    composed, decomposed = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    ids = ["Ant", "ant", "ANT", f"caf{composed}", f"caf{decomposed}", "straße", "STRASSE"]
    desk.write(*({"id": name, "prompt": f"{number} walks"} for number, name in enumerate(ids)))
    desk.check(desk.run(), 0)
    files = [row["file_name"] for row in desk.rows()]
    folded = {unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()) for name in files}
    assert len(folded) == len(ids) == len(names(desk))


def test_prompts_without_an_id_make_names_that_stay_inside(desk: Any, sim: Any) -> None:
    """Whatever a prompt begins with, its video lies in the folder for videos, and nowhere else."""
    sim.start()
    prompts = ["../../evil", "/etc/passwd", "CON", "\x1b]0;x\x07", "....//", "~root", "$(touch evil)", "雨夜"]
    desk.write(*({"prompt": prompt} for prompt in prompts))
    before = {path for path in desk.folder.parent.rglob("*") if desk.directory not in path.parents}
    desk.check(desk.run(), 0)
    videos = (desk.directory / "videos").resolve()
    assert len(names(desk)) == len(prompts)
    for row in desk.rows():
        assert Path(desk.directory, row["file_name"]).resolve().parent == videos
    after = {path for path in desk.folder.parent.rglob("*") if desk.directory not in path.parents}
    strange = {path for path in after - before if path.suffix == ".mp4" or "evil" in path.name}
    assert not {path for path in strange if "elsewhere" not in path.parts}


@pytest.mark.parametrize("dangling", [False, True], ids=["to a file", "to nothing"])
def test_a_symlink_in_a_videos_place_is_not_followed(desk: Any, sim: Any, dangling: bool) -> None:
    """What it points to is neither written nor read; the task gets another name, or waits for a person."""
    sim.start(generation_seconds=200)
    victim = desk.folder.parent / "victim"
    if not dangling:
        victim.write_text("mine", encoding="utf-8")
    desk.write("ant")
    run = desk.start_run().reached(1, "accepted")
    (desk.directory / "videos" / "ant.mp4").symlink_to(victim)
    done = run.ended()
    assert done.code == 1, done.stderr
    assert desk.row("ant")["error_code"] == "name_taken"
    assert victim.exists() is not dangling
    assert dangling or victim.read_text() == "mine"
    (desk.directory / "videos" / "ant.mp4").unlink()
    desk.check(desk.run(), 0)
    assert sim.posts() == 1


def test_a_name_that_was_taken_before_the_task_came_is_left_to_its_owner(desk: Any, sim: Any) -> None:
    """A file of somebody else's in the folder keeps its name and its bytes; the video has one of its own."""
    sim.start()
    desk.write("bee")
    desk.check(desk.run(), 0)
    mine = desk.directory / "videos" / "Ant.mp4"
    os.link(desk.directory / "videos" / "bee.mp4", mine)
    before = mine.read_bytes()
    desk.write("bee", "ant")
    desk.check(desk.run(), 0)
    assert mine.read_bytes() == before
    assert desk.row("ant")["file_name"] != "videos/ant.mp4"


@pytest.mark.parametrize("name", ["../outside.png", "link.png"])
def test_a_picture_outside_the_manifests_folder_is_not_read_by_a_relative_path(
    desk: Any, web_page: Any, name: str
) -> None:
    """`..` in a picture's path, or a symlink that leads out: exit 2, and nothing of it is sent."""
    outside = desk.folder.parent / "outside.png"
    outside.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (desk.folder / "link.png").symlink_to(outside)
    desk.write({"id": "ant", "prompt": "ant walks", "image": name})
    done = desk.do("run", "batch.yaml", *desk.at_gateway(web_page.url))
    assert done.code == 2
    assert "outside" in done.stderr or "folder" in done.stderr
    assert web_page.methods == []
