"""`batchrunner init`: a valid manifest at once, so that a csv becomes videos with two commands."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

PICTURES = Path(__file__).parents[2] / "manifests/media"
CSV = "sku,prompt,seconds,category\nb-1,A paper boat,4,toys\nb-2,雨夜的霓虹灯街道,4,cities\n"


def write(desk: Any, name: str, text: str = CSV) -> Path:
    """A file of the desk."""
    path: Path = desk.folder / name
    path.write_text(text, encoding="utf-8")
    return path


def files(desk: Any) -> set[Path]:
    """All files, except those with what was printed."""
    return {path for path in desk.folder.rglob("*") if "printed" not in path.parts}


def test_a_csv_becomes_videos_with_two_commands(desk: Any, sim: Any) -> None:
    """Named after their rows, with the labels in results.csv, each charged once."""
    sim.start()
    write(desk, "batch.csv")
    done = desk.do("init", "batch.csv")
    assert (done.code, done.stderr) == (0, "")
    assert done.stdout.startswith("wrote batch.yaml: 2 tasks from batch.csv\n")
    assert "next     batchrunner plan batch.yaml" in done.stdout
    desk.planned = 2
    desk.check(desk.run(), 0)
    assert [(row["id"], row["label.category"], row["file_name"]) for row in desk.rows()] == [
        ("b-1", "toys", "videos/b-1.mp4"),
        ("b-2", "cities", "videos/b-2.mp4"),
    ]
    assert len(sim.charges()) == 2


@pytest.mark.parametrize(
    ("source", "tasks"), [(None, 1), ("rows.csv", 2), ("rows.jsonl", 1), ("prompts.txt", 2), ("photos", 2)]
)
def test_what_is_written_is_valid_as_it_stands(desk: Any, source: str | None, tasks: int) -> None:
    """From each kind of source: `validate --strict` finds nothing; nothing else is created."""
    write(desk, "rows.csv")
    write(desk, "rows.jsonl", '{"text": "A boat", "seed": 7}\n')
    write(desk, "prompts.txt", "A boat\nA cat\n")
    shutil.copytree(PICTURES, desk.folder / "photos")
    before = files(desk)
    done = desk.do("init", *([source] if source else []), "--json")
    value = json.loads(done.stdout)
    assert (done.code, value["tasks"], value["problems"]) == (0, tasks, [])
    made = desk.folder / value["manifest"]
    assert files(desk) - before == {made}
    assert desk.do("validate", "--strict", value["manifest"]).code == 0
    assert [line for line in made.read_text(encoding="utf-8").splitlines() if "#" in line]


def test_nothing_is_overwritten_without_force(desk: Any) -> None:
    """A file, or a link to one, stays as it is; --force replaces the content, also behind a link."""
    write(desk, "batch.csv")
    kept = write(desk, "kept.yaml", "mine")
    (desk.folder / "batch.yaml").symlink_to("kept.yaml")
    done = desk.do("init", "batch.csv")
    assert (done.code, kept.read_text()) == (2, "mine")
    assert "--force" in done.stderr
    assert desk.do("init", "batch.csv", "--force").code == 0
    assert (desk.folder / "batch.yaml").is_symlink()
    assert kept.read_text(encoding="utf-8").startswith("# Made by `batchrunner init` from batch.csv")
    assert not list(desk.folder.glob(".*.part"))
    done = desk.do("init", "batch.csv", "-o", "batch.csv", "--force")
    assert (done.code, (desk.folder / "batch.csv").read_text(encoding="utf-8")) == (2, CSV)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["gone.csv"], "does not exist"),
        (["photo.mp4"], "has no format"),
        (["old.yaml"], "`batchrunner validate old.yaml`"),
        (["batch.csv", "-o", "."], "is a folder"),
        (["batch.csv", "-o", "gone/m.yaml"], "gone is not a folder"),
        (["broken.csv"], "unbalanced quotes"),
        (["codes.csv"], "columns: `sku`, `price`\n  hint: choose one with --prompt COLUMN"),
        (["codes.csv", "--prompt", "skuu"], "did you mean `sku`?"),
        (["empty", "--prompt", "sku"], "--prompt chooses a column"),
        (["empty"], "no pictures in empty"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(desk: Any, arguments: list[str], told: str) -> None:
    """Exit 2, and no file."""
    for name, text in (
        ("batch.csv", CSV),
        ("photo.mp4", "x"),
        ("old.yaml", "x"),
        ("broken.csv", 'prompt\n"a\n'),
        ("codes.csv", "sku,price\nb-1,4\n"),
    ):
        write(desk, name, text)
    (desk.folder / "empty").mkdir()
    before = files(desk)
    done = desk.do("init", *arguments)
    assert (done.code, told in done.stderr, done.stdout) == (2, True, "")
    assert files(desk) == before


def test_what_is_left_out_is_told(desk: Any) -> None:
    """A column that the field can't take: the reason stands on the terminal and in the manifest."""
    write(desk, "batch.csv", CSV.replace(",4,cities", ",four,cities"))
    done = desk.do("init", "batch.csv")
    assert done.code == 0
    assert "duration: not used: batch.csv: row 2:" in done.stdout


def test_errors_of_the_rows_are_told_with_their_place(desk: Any) -> None:
    """The manifest is written, so that either side can be corrected; exit 2."""
    write(desk, "batch.csv", CSV.replace("A paper boat", ""))
    done = desk.do("init", "batch.csv")
    assert (done.code, desk.manifest.exists()) == (2, True)
    assert "batch.csv: row 1" in done.stderr
    assert "`batchrunner validate batch.yaml`" in done.stderr


@pytest.mark.parametrize(
    "name", ["my rows.csv", "-dash.csv", "it's.csv", "行.csv", "$(x).csv", "a\u202eb.csv"]
)
def test_any_file_name_will_do(desk: Any, name: str) -> None:
    """Spaces, dashes, quotes, Chinese, a change of direction: what is written loads."""
    write(desk, name)
    done = desk.do("init", "--json", f"./{name}")
    assert (done.code, json.loads(done.stdout)["tasks"]) == (0, 2)
    made = json.loads(done.stdout)["manifest"]
    assert desk.do("validate", f"./{made}").code == 0
    text = (desk.folder / made).read_text(encoding="utf-8")
    assert "\u202e" not in text
