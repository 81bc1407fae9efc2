"""A run directory as it stands, read by the datasets library: only finished videos, each with its row."""

import itertools
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batchrunner.cli.main import main
from batchrunner.ledger import LEDGER_NAME
from batchrunner.output.run_dataset import is_like_a_split
from tests.harness.finished_runs import Made
from tests.integration.export.conftest import HOSTILE, Exporter

SPLITS = tuple(Made(name, f"prompt of {name}", name.encode()) for name in ("train", "test-1", "a.val", "x"))
"""Tasks whose files the library takes for splits."""
PLAIN = (Made("ant", "An ant", b"ant"), Made("bee", "A bee", b"bee"), Made("cat", "A cat", b"cat"))


@pytest.fixture
def results(export: Exporter, capfd: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Writes the results of the run directory; returns what is said about it."""

    def write() -> str:
        assert main(["results", str(export.run)]) == 0
        return capfd.readouterr().out

    return write


def ways(run: Path) -> list[tuple[tuple[str, ...], dict[str, str]]]:
    """The arguments of `load_dataset`, in each way to load a run directory."""
    return [(("videofolder",), {"data_dir": str(run)}), ((str(run),), {})]


def rows_of(found: Any) -> dict[str, dict[str, Any]]:
    """What was loaded, by ID; videos as their bytes."""
    assert list(found) == ["train"]
    return {row["id"]: row | {"video": Path(row["video"]["path"]).read_bytes()} for row in found["train"]}


def listing(folder: Path) -> set[str]:
    """The names in a folder."""
    return {path.name for path in folder.iterdir()}


def change(run: Path, statement: str) -> None:
    """Change the ledger."""
    with closing(sqlite3.connect(run / LEDGER_NAME)) as db, db:
        db.execute(statement)


@pytest.mark.parametrize("tasks", [HOSTILE, SPLITS, PLAIN], ids=["hostile", "splits", "plain"])
def test_a_run_directory_is_what_its_export_is(
    export: Any, load: Any, results: Any, tasks: tuple[Made, ...]
) -> None:
    """Same columns, types, values and bytes, whatever tasks and files are called."""
    export.make(*tasks)
    results()
    export("--format", "hf")
    for way, of_export in zip(ways(export.run), ways(export.out), strict=True):
        found, exported = (load(*arguments, **options) for arguments, options in (way, of_export))
        assert found["train"].features == exported["train"].features
        assert rows_of(found) == rows_of(exported)
        assert {row["id"]: row["video"] for row in rows_of(found).values()} == {
            task.id: task.data for task in tasks
        }


@pytest.mark.parametrize("tasks", [SPLITS, PLAIN], ids=["splits", "plain"])
def test_nothing_else_becomes_a_row(export: Any, load: Any, results: Any, tasks: tuple[Made, ...]) -> None:
    """Unfinished, missing and changed videos, older versions, and files of any other kind are left out."""
    done, failed, gone, edited, again = (
        tasks[0],
        *(Made(name, name, name.encode()) for name in ("failed", "gone", "edited", "again")),
    )
    export.make(done, failed, gone, edited, again)
    videos = export.run / "videos"
    change(export.run, "UPDATE tasks SET state = 'failed' WHERE id = 'failed'")
    change(
        export.run, "UPDATE tasks SET state = 'pending', file_name = 'videos/again-v2.mp4' WHERE id = 'again'"
    )
    (videos / "gone.mp4").unlink()
    (videos / "edited.mp4").write_bytes(b"something else")
    for name in ("videos/.half.0a0a0a0a.part", "report.html", "pictures/a.jpg", "pictures/b.mp4", "more.csv"):
        (export.run / name).parent.mkdir(exist_ok=True)
        (export.run / name).write_bytes(b"x,y\n1,2\n")
    (export.run / ".simulator").mkdir()
    (export.run / ".simulator/test.mp4").write_bytes(b"z")
    results()
    for arguments, options in ways(export.run):
        found = rows_of(load(*arguments, **options))
        assert {name: row["video"] for name, row in found.items()} == {done.id: done.data}


@pytest.mark.parametrize("tasks", [SPLITS, PLAIN], ids=["splits", "plain"])
def test_what_changes_later_is_read_again(
    export: Any, results: Any, tmp_path: Path, tasks: tuple[Made, ...]
) -> None:
    """The library keeps what it has loaded, until metadata.jsonl is a new one; also in a moved folder."""
    datasets = pytest.importorskip("datasets")
    export.make(*tasks[:2])
    results()

    def number(folder: Path) -> set[int]:
        """How many rows each way finds."""
        return {
            len(datasets.load_dataset(*arguments, **options, cache_dir=str(tmp_path / "cache"))["train"])
            for arguments, options in ways(folder)
        }

    assert number(export.run) == {2}
    export.make(Made("new", "new"))
    results()
    assert number(export.run) == {3}
    moved = export.run.rename(tmp_path / "moved.run")
    assert number(moved) == {3}


def test_videos_on_another_disk_are_found(export: Any, load: Any, results: Any, tmp_path: Path) -> None:
    """`videos` may be a link to a folder elsewhere."""
    export.make(*SPLITS)
    (export.run / "videos").rename(tmp_path / "disk")
    (export.run / "videos").symlink_to(tmp_path / "disk")
    results()
    for arguments, options in ways(export.run):
        assert {name: row["video"] for name, row in rows_of(load(*arguments, **options)).items()} == {
            task.id: task.data for task in SPLITS
        }


def test_a_file_of_the_users_is_kept(export: Any, load: Any, results: Any) -> None:
    """Edited or foreign metadata get a backup; a configuration and a folder `train` are left alone."""
    export.make(*SPLITS)
    (export.run / "metadata.jsonl").write_text("mine", encoding="utf-8")
    (export.run / ".huggingface.yaml").write_text("# mine", encoding="utf-8")
    (export.run / "train").mkdir()
    (export.run / "train/notes.txt").write_text("mine", encoding="utf-8")
    results()
    assert (export.run / "metadata.jsonl.bak").read_text(encoding="utf-8") == "mine"
    assert len((export.run / "metadata.jsonl").read_text(encoding="utf-8").splitlines()) == len(SPLITS)
    assert (export.run / ".huggingface.yaml").read_text(encoding="utf-8") == "# mine"
    assert listing(export.run / "train") == {"notes.txt"}
    results()
    assert not (export.run / "metadata.jsonl.bak2").exists()


def test_a_killed_writing_is_completed_by_the_next(export: Any, load: Any, results: Any) -> None:
    """Half of the links, and a file that a power cut has emptied, are made whole."""
    export.make(*SPLITS)
    (export.run / "train").mkdir()
    (export.run / "train/videos").symlink_to("../videos")
    (export.run / ".huggingface.yaml").touch()
    results()
    for arguments, options in ways(export.run):
        assert set(rows_of(load(*arguments, **options))) == {task.id for task in SPLITS}


def test_without_a_video_there_is_nothing_to_load(export: Any, results: Any) -> None:
    """A run directory has no files for libraries until a video is done, and no folder if none is needed."""
    export.make(*PLAIN)
    change(export.run, "UPDATE tasks SET state = 'failed'")
    results()
    assert not {"metadata.jsonl", ".huggingface.yaml", "train"} & listing(export.run)
    change(export.run, "UPDATE tasks SET state = 'done'")
    results()
    assert {"metadata.jsonl", ".huggingface.yaml"} < listing(export.run)
    assert not (export.run / "train").exists()


def test_every_name_that_the_library_takes_for_a_split_is_known() -> None:
    """The library's own list, with everything that may stand around a word."""
    files = pytest.importorskip("datasets.data_files")
    words = [word for words in files.SPLIT_KEYWORDS.values() for word in words]
    marks = [*files.NON_WORDS_CHARS.replace("0-9", ""), "0", "9"]
    for word, mark in itertools.product(words, marks):
        assert is_like_a_split(f"{word}{mark}x.mp4")
        assert is_like_a_split(f"x{mark}{word}.mp4")
    assert not any(map(is_like_a_split, ("trainer.mp4", "contest.mp4", "Test.mp4", "cat.mp4")))


def test_labels_are_columns(export: Any, results: Any) -> None:
    """All rows have all labels."""
    export.make(Made("ant", "ant", labels={"kind": "insect"}), Made("cat", "cat"))
    results()
    rows = map(json.loads, (export.run / "metadata.jsonl").read_text(encoding="utf-8").splitlines())
    assert [row["label.kind"] for row in rows] == ["insect", ""]
