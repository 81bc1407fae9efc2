"""Parquet shards, read back by pyarrow and by the datasets library."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from tests.harness.finished_runs import Made
from tests.integration.export.conftest import HOSTILE
from tests.integration.export.test_webdataset import check_index, shards


@pytest.mark.parametrize("embed", [True, False])
def test_the_libraries_read_every_value(export: Any, load: Any, embed: bool) -> None:
    """`datasets` takes the column for videos without being told, with their bytes or where they are."""
    export.make(*HOSTILE)
    options = ["--format", "parquet", "--shard-count", "3", "--split", "train=0.5,test=0.5"]
    export(*options, *(["--embed"] if embed else []))
    rows = [row for path in export.out.glob("*.parquet") for row in parquet.read_table(path).to_pylist()]
    for found in (load(str(export.out)), load("parquet", data_dir=str(export.out))):
        assert set(found) == {"train", "test"}
        rows += [row for split in found.values() for row in split]
    assert len(rows) == 3 * len(HOSTILE)
    tasks = {task.key: task for task in HOSTILE}
    for row in rows:
        task = tasks[row["fingerprint"]]
        video = row["video"]
        assert (video["bytes"] if embed else Path(video["path"]).read_bytes()) == task.data
        assert (row["id"], row["prompt"], row["cost"]) == (task.id, task.prompt, task.cost)
        assert (json.loads(row["labels"]), row["seed"], row["fps"]) == (task.labels, 7, 24.0)


def test_columns_are_described_and_row_groups_are_small(export: Any) -> None:
    """A reader that streams loads a part at a time, and sees what each column is."""
    export.make(*(Made(f"clip-{number}", f"p {number}", b"%d" % number * (9 << 20)) for number in range(6)))
    export("--format", "parquet", "--embed")
    (path,) = export.out.glob("*.parquet")
    found = parquet.ParquetFile(path)
    sizes = [found.metadata.row_group(index).num_rows for index in range(found.num_row_groups)]
    assert sizes == [2, 2, 2]
    assert all(b"description" in field.metadata for field in found.schema_arrow)


def test_shards_are_the_same_each_time_and_stay(export: Any) -> None:
    """Two exports have the same hashes; a grown run adds a shard."""
    export.make(*(Made(f"clip-{number}", f"prompt {number}", b"%d" % number * 9000) for number in range(9)))
    options = ("--format", "parquet", "--embed", "--shard-size", "20KB")
    export(*options)
    export(*options, out=export.folder / "again")
    before = shards(export.out)
    assert before == shards(export.folder / "again")
    assert len(before) == 5
    export.make(Made("late", "late"))
    export(*options)
    assert before.items() < shards(export.out).items()
    assert sum(shard["rows"] for shard in check_index(export.out)) == 10


def test_a_changed_video_is_left_out(export: Any) -> None:
    """Embedded or not, the row is skipped."""
    export.make(Made("ant", "ant", b"ant"), Made("bee", "bee", b"bee"))
    (export.run / "videos/bee.mp4").write_bytes(b"eeb")
    assert export("--format", "parquet", "--embed", code=1)["videos"] == 1
    assert export("--format", "parquet", out=export.folder / "paths", code=1)["videos"] == 1


def test_without_pyarrow_one_line_says_what_to_install(export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is created."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    export.make(Made("ant", "ant"))
    assert "pip install 'batchrunner[tables]'" in export.refused("--format", "parquet")
    assert not export.out.exists()


def test_videos_that_are_not_embedded_take_no_room(export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of a shard is that of its file, and no shard has more rows than fit into memory."""
    export.make(*(Made(f"clip-{number}", f"prompt {number}", b"%d" % number * 90_000) for number in range(5)))
    export("--format", "parquet", "--shard-size", "20KB")
    assert [shard["rows"] for shard in check_index(export.out)] == [5]
    monkeypatch.setattr("batchrunner.output.export.shards.MOST_ROWS", 2)
    export("--format", "parquet", "--shard-count", "4", out=export.folder / "rows")
    assert [shard["rows"] for shard in check_index(export.folder / "rows")] == [2, 2, 1]
