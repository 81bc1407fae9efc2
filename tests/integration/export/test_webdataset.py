"""Tar shards, read back by webdataset, by the datasets library and by tar."""

import hashlib
import json
import tarfile
import warnings
from pathlib import Path
from typing import Any

from tests.harness.finished_runs import Made
from tests.integration.export.conftest import HOSTILE, tree


def shards(folder: Path) -> dict[str, bytes]:
    """The shards of a set."""
    return {name: data for name, data in tree(folder).items() if name.endswith((".tar", ".parquet"))}


def check_index(folder: Path) -> list[dict[str, Any]]:
    """The index, which must say the truth about the shards."""
    found: list[dict[str, Any]] = json.loads((folder / "index.json").read_text(encoding="utf-8"))["shards"]
    contents = shards(folder)
    assert [shard["name"] for shard in found] == sorted(contents)
    for shard in found:
        data = contents[shard["name"]]
        assert (shard["bytes"], shard["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    return found


def test_webdataset_reads_every_sample(export: Any) -> None:
    """The library that the format is named after finds video, row and prompt of each task under one key."""
    export.make(*HOSTILE)
    export("--format", "webdataset", "--shard-count", "3")
    assert [shard["rows"] for shard in check_index(export.out)] == [3, 3, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import webdataset  # noqa: PLC0415  slow

        urls = sorted(map(str, export.out.glob("*.tar")))
        samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert len({sample["__key__"] for sample in samples}) == len(HOSTILE)
    assert not any("." in sample["__key__"] for sample in samples)
    found = {json.loads(sample["json"])["fingerprint"]: sample for sample in samples}
    for task in HOSTILE:
        sample = found[task.key]
        row = json.loads(sample["json"])
        assert (sample["mp4"], sample["txt"].decode()) == (task.data, task.prompt)
        assert (row["id"], row["prompt"], row["cost"]) == (task.id, task.prompt, task.cost)
        assert json.loads(row["labels"]) == task.labels


def test_datasets_reads_every_sample(export: Any, load: Any) -> None:
    """As a dataset with its card, and by the name of the format."""
    export.make(*HOSTILE)
    export("--format", "webdataset", "--split", "train=0.5,test=0.5")
    for found in (load(str(export.out)), load("webdataset", data_dir=str(export.out))):
        assert set(found) == {"train", "test"}
        rows = {row["json"]["fingerprint"]: row for split in found.values() for row in split}
        for task in HOSTILE:
            row = rows[task.key]
            assert (row["mp4"]["bytes"], row["txt"]) == (task.data, task.prompt)
            assert (row["json"]["id"], json.loads(row["json"]["labels"])) == (task.id, task.labels)


def test_two_exports_are_the_same_to_the_byte(export: Any) -> None:
    """Whenever and wherever they are made; and tar finds nothing to complain about."""
    export.make(*(Made(f"clip-{number}", f"prompt {number}", b"%d" % number * 700) for number in range(9)))
    options = ("--format", "webdataset", "--shard-size", "8KB", "--split", "train=0.5,test=0.5")
    export(*options)
    export(*options, out=export.folder / "again")
    assert shards(export.out) == shards(export.folder / "again")
    assert len(check_index(export.out)) > 3
    for path in export.out.glob("*.tar"):
        with tarfile.open(path) as tar:
            for entry in tar:
                assert (entry.mtime, entry.uid, entry.gid, entry.uname, entry.mode) == (0, 0, 0, "", 0o644)


def test_a_grown_run_only_adds_shards(export: Any) -> None:
    """What was exported stays as it is, to the byte."""
    export.make(*(Made(f"clip-{number}", f"prompt {number}") for number in range(5)))
    export("--format", "webdataset", "--shard-count", "2")
    before = shards(export.out)
    export.make(Made("late", "late", labels={"new": "label"}))
    export("--format", "webdataset", "--shard-count", "2")
    after = shards(export.out)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"train-000003.tar"}
    check_index(export.out)


def test_a_changed_video_leaves_no_trace_in_its_shard(export: Any) -> None:
    """It is noticed only while it is copied; the shard is the one without it."""
    one = export.make(Made("ant", "ant", b"a" * 3000), Made("cow", "cow", b"c" * 3000))
    two = export.make(
        Made("ant", "ant", b"a" * 3000),
        Made("bee", "bee", b"b" * 3000),
        Made("cow", "cow", b"c" * 3000),
        run="two",
    )
    (two / "videos/bee.mp4").write_bytes(b"b" * 2999 + b"B")
    export("--format", "webdataset", runs=[one])
    done = export("--format", "webdataset", out=export.folder / "again", runs=[two], code=1)
    assert len(done["skipped"]) == 1
    assert entries(export.out) == entries(export.folder / "again")
    check_index(export.folder / "again")


def entries(folder: Path) -> list[tuple[str, bytes]]:
    """Names and contents in the first shard; without the name of the run."""
    found = []
    with tarfile.open(folder / "train-000000.tar") as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file
            found.append((entry.name, file.read().replace(b'"run":"two"', b'"run":"cats"')))
    return found
