"""Files by pattern: which are found, and which are left alone."""

import os
from pathlib import Path

import pytest

from batchrunner.manifest.file_lists import PatternFault, find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A manifest's folder with some files in it."""
    for name in ("b.png", "a.PNG", "c.jpg", ".hidden.png", "sub/d.png", "sub/deep/e.png", "10.png", "9.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["9.png", "10.png", "b.png"]),
        ("*.[pP][nN][gG]", ["9.png", "10.png", "a.PNG", "b.png"]),
        ("./b.*", ["b.png"]),
        ("b.png", ["b.png"]),
        ("sub/*", ["sub/d.png"]),  # a folder is no file
        ("**/*.png", ["9.png", "10.png", "b.png", "sub/d.png", "sub/deep/e.png"]),
        ("sub/../b.png", ["sub/../b.png"]),
        ("sub/**", ["sub/d.png", "sub/deep/e.png"]),
        ("**/**/e.*", ["sub/deep/e.png"]),
        ("*/*/e.png", ["sub/deep/e.png"]),
        (".h*", [".hidden.png"]),
        ("b.png/*", []),
        ("none/*.png", []),
        ("**/**/**/**/**/**/**/**/**/**/**/**/e.png", ["sub/deep/e.png"]),
        ("/".join(["**", "*"] * 12), []),
        ("a\0b*", []),
    ],
)
def test_matching_files_are_found_in_order(pattern: str, found: list[str], folder: Path) -> None:
    """By their paths; hidden ones only where the pattern says so."""
    assert find_files(folder, pattern) == found


def test_a_name_may_begin_with_two_dots(folder: Path) -> None:
    """That is no way out."""
    (folder / "..pics").mkdir()
    (folder / "..pics" / "a.png").touch()
    assert find_files(folder, "..pics/*.png") == ["..pics/a.png"]


def test_an_absolute_pattern_finds_absolute_paths(folder: Path) -> None:
    """It may lead anywhere: that is said on purpose."""
    assert find_files(folder / "sub", f"{folder}/b.*") == [f"{folder}/b.png"]


@pytest.mark.parametrize("pattern", ["../*.png", "sub/../../*.png", ".."])
def test_a_pattern_may_not_leave_the_folder(pattern: str, folder: Path) -> None:
    """Nothing outside is even looked at."""
    with pytest.raises(PatternFault, match="outside the manifest's folder"):
        find_files(folder, pattern)


@pytest.mark.parametrize("name", [b"\xff.gif", b"x\ny.gif", b"\x1b[2J.gif"])
def test_a_name_that_is_no_text_is_refused(name: bytes, folder: Path) -> None:
    """It could neither be shown nor written into a CSV."""
    (folder / os.fsdecode(name)).touch()
    with pytest.raises(PatternFault, match="is not valid text"):
        find_files(folder, "*.gif")


@pytest.mark.parametrize("name", ["夏天 的猫.gif", "a's (1) [x].gif", "表\u3000紙.gif"])
def test_a_name_may_be_any_text(name: str, folder: Path) -> None:
    """Blanks, brackets and Chinese are no trouble."""
    (folder / name).touch()
    assert find_files(folder, "*.gif") == [name]


def test_a_link_to_nothing_is_found(folder: Path) -> None:
    """Rather than left out in silence: that there is nothing is told where it is used."""
    (folder / "lost.gif").symlink_to("gone.gif")
    assert find_files(folder, "*.gif") == ["lost.gif"]


def test_links_do_not_lead_in_circles(folder: Path) -> None:
    """A link to a folder is followed where the pattern names it, and not by `**`."""
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "also").symlink_to(folder / "sub")
    (folder / "link.png").symlink_to("b.png")
    everything = find_files(folder, "**/*.png")
    assert everything == ["9.png", "10.png", "b.png", "link.png", "sub/d.png", "sub/deep/e.png"]
    assert find_files(folder, "also/*.png") == ["also/d.png"]
    assert find_files(folder, "also/**/*.png") == ["also/d.png", "also/deep/e.png"]


def test_files_made_by_runs_are_not_matched(folder: Path) -> None:
    """The last frames of one run must not become tasks of the next, unless the pattern names them."""
    for run in ("m.run", "sub/other.run", "."):
        (folder / run / "videos").mkdir(parents=True, exist_ok=True)
        (folder / run / "ledger.sqlite").touch()
        (folder / run / "videos" / "x-last.png").touch()
    (folder / "no-run" / "videos").mkdir(parents=True)
    (folder / "no-run" / "videos" / "y.png").touch()
    everything = find_files(folder, "**/*.png")
    assert [name for name in everything if "videos" in name] == ["no-run/videos/y.png"]
    assert find_files(folder, "*/*/*.png") == ["no-run/videos/y.png", "sub/deep/e.png"]
    assert find_files(folder, "m.run/videos/*.png") == ["m.run/videos/x-last.png"]
    assert find_files(folder, "videos/*.png") == ["videos/x-last.png"]
