"""One file of rows, as CSV or JSON lines."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.finished_runs import Made
from tests.integration.export.conftest import HOSTILE, tree

Reader = Callable[[Path], list[dict[str, Any]]]


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows of text."""
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Rows of values."""
    return [json.loads(line) for line in path.read_bytes().decode().split("\n")[:-1]]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_value_is_there_with_the_path_of_its_video(export: Any, form: str) -> None:
    """Text is text: no cell is escaped for spreadsheets."""
    export.make(*HOSTILE)
    export("--format", form)
    read = {"csv": read_csv, "jsonl": read_jsonl}[form]
    rows = {row["fingerprint"]: row for row in read(export.out / f"videos.{form}")}
    for task in HOSTILE:
        row = rows[task.key]
        assert (row["id"], row["prompt"]) == (task.id, task.prompt)
        assert Path(row["video"]).read_bytes() == task.data
        assert row["label.region"] == task.labels.get("region", "")
        assert str(row["cost"]) == str(("" if form == "csv" else None) if task.cost is None else task.cost)


def test_the_datasets_library_reads_json_lines(export: Any, load: Any) -> None:
    """The column of paths only has to be named as one of videos."""
    export.make(*HOSTILE)
    export("--format", "jsonl")
    found = load("json", data_files=str(export.out / "videos.jsonl"))["train"]
    assert {row["fingerprint"]: row["prompt"] for row in found} == {task.key: task.prompt for task in HOSTILE}


def test_the_file_follows_the_ledger(export: Any) -> None:
    """New rows appear, rows without a video leave, and nothing is written if nothing has changed."""
    export.make(Made("ant", "ant", labels={"kind": "a"}), Made("bee", "bee"))
    export("--format", "jsonl")
    path = export.out / "videos.jsonl"
    before = path.stat()
    export("--format", "jsonl")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    export.make(Made("cat", "cat", labels={"size": "big"}))
    (export.run / "videos/ant.mp4").unlink()
    assert export("--format", "jsonl", code=1)["videos"] == 2
    assert [(row["id"], row["label.kind"], row["label.size"]) for row in read_jsonl(path)] == [
        ("bee", "", ""),
        ("cat", "", "big"),
    ]
    assert set(tree(export.out)) == {"videos.jsonl"}


@pytest.mark.parametrize(
    "option", [["--shard-size", "1GB"], ["--shard-count", "1"], ["--embed"], ["--link"], ["--split", "a=1"]]
)
def test_options_of_other_formats_are_refused(export: Any, option: list[str]) -> None:
    """They would be ignored."""
    export.make(Made("ant", "ant"))
    assert f"{option[0]} is an option of --format" in export.refused("--format", "csv", *option)


@pytest.mark.parametrize("size", ["1", "GB", "-1GB", "1TB", "0MB", "x MB"])
def test_sizes_that_make_no_sense_are_refused(export: Any, size: str) -> None:
    """With an example."""
    export.make(Made("ant", "ant"))
    assert "write it as 500MB" in export.refused("--format", "webdataset", f"--shard-size={size}")
