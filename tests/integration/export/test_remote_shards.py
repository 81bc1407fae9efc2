"""Shards that a cluster makes: whatever becomes of the process that uses it, they are as if made here."""

import sys
from pathlib import Path
from typing import Any

import pytest

from batchrunner.engine import remote_shards
from batchrunner.output.export.folder import JOURNAL
from tests.harness.finished_runs import Made
from tests.integration.export.conftest import HOSTILE, tree
from tests.integration.export.test_webdataset import shards

FAKE = Path(__file__).with_name("fake_shard_child.py")
ROOT = Path(__file__).parents[3]
FORMATS = (
    ("--format", "webdataset", "--shard-count", "3", "--split", "train=0.5,test=0.5"),
    ("--format", "parquet", "--embed", "--shard-count", "3"),
    ("--format", "parquet", "--shard-count", "3", "--verify"),
)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Exports use a child with a behaviour; returns its log."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("batchrunner.cli.arguments.has_ray", lambda: True)

    def behaving(behaviour: str, patience: float = 2.5) -> Path:
        command = (sys.executable, str(FAKE), behaviour, str(tmp_path / "child.log"))

        class Remote(remote_shards.RemoteShards):
            def __init__(self, here: Any, setup: Any, notice: Any) -> None:
                super().__init__(here, setup, notice, command, (0.0,), patience)

        monkeypatch.setattr(remote_shards, "RemoteShards", Remote)
        return tmp_path / "child.log"

    return behaving


def same_as_here(export: Any, *options: str) -> str:
    """Export with and without a cluster, to the same sets; return what was said about the cluster."""
    here, there = export.folder / "here" / "set", export.folder / "there" / "set"
    here.parent.mkdir()
    there.parent.mkdir()
    export(*options, out=here)
    export(*options, "--on", "ray", out=there)
    assert tree(there) == tree(here)
    assert [path.name for path in there.iterdir() if path.name.startswith(".")] == [JOURNAL]
    assert (there / JOURNAL).read_text().count('"files"') == (here / JOURNAL).read_text().count('"files"')
    return str(export.err)


@pytest.mark.parametrize("options", FORMATS, ids=" ".join)
def test_workers_make_the_same_shards(export: Any, child: Any, options: tuple[str, ...]) -> None:
    """To the byte, index and card included; every shard comes from a worker."""
    log = child("good")
    export.make(*HOSTILE)
    said = same_as_here(export, *options)
    made = len(log.read_text().splitlines())
    assert f"{made} shards made on the cluster in {made} tries" in said
    assert made == len(shards(export.folder / "there" / "set")) >= 3


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        ("dies", "the cluster is gone; this machine does the rest"),
        ("garbage", "sent something that is not an answer"),
        ("another shape", "sent something that is not an answer"),
        ("outside", ""),
        ("cut", ""),
        ("gone", ""),
        ("elsewhere", "give a folder that all machines of the cluster share"),
        ("another library", "a worker has pyarrow"),
    ],
)
def test_every_fault_of_the_child_leaves_the_same_shards(
    export: Any, child: Any, behaviour: str, told: str
) -> None:
    """What the cluster can't do is done here, and the user learns why; nothing else stays on the disk."""
    child(behaviour)
    export.make(*(Made(f"clip-{number}", f"prompt {number}") for number in range(5)))
    said = same_as_here(export, "--format", "parquet", "--embed", "--shard-count", "2")
    assert told in said
    assert "0 shards made on the cluster" in said


def test_hanging_child_is_given_up(export: Any, child: Any) -> None:
    """A shard without an answer is made here once patience ends."""
    child("hangs", patience=0.0001)
    export.make(Made("ant", "ant"), Made("bee", "bee"))
    said = same_as_here(export, "--format", "webdataset", "--shard-count", "1")
    assert "the cluster doesn't answer; its work is done here" in said


def test_a_video_that_a_worker_cant_use_is_judged_here(export: Any, child: Any) -> None:
    """Its shard is made here, as without a cluster; the others are the workers'."""
    child("good")
    export.make(*(Made(name, name, name.encode()) for name in ("ant", "bee", "cat", "dog")))
    (export.run / "videos/bee.mp4").write_bytes(b"BEE")
    options = ("--format", "webdataset", "--shard-count", "2")
    export(*options, out=export.folder / "here", code=1)
    done = export(*options, "--on", "ray", code=1)
    assert shards(export.out) == shards(export.folder / "here")
    assert [Path(skipped["file"]).name for skipped in done["skipped"]] == ["bee.mp4"]
    assert "bee.mp4 is changed or replaced after the download" in export.err
    assert "1 shard made on the cluster in 2 tries" in export.err


def test_only_formats_with_shards_are_made_on_a_cluster(export: Any, child: Any) -> None:
    """Any other is refused before anything is created."""
    export.make(Made("ant", "ant"))
    said = export.refused("--format", "hf", "--on", "ray")
    assert "--on is an option of --format webdataset and parquet" in said
    assert not export.out.exists()
