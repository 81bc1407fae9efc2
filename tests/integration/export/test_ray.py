"""Shards that a real cluster makes, on three nodes of which one is killed and one is frozen."""

import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batchrunner.ledger import LEDGER_NAME
from batchrunner.output.export.folder import JOURNAL
from tests.harness.finished_runs import Made
from tests.harness.object_storage import ObjectStorage, serving
from tests.harness.processes import PATIENCE
from tests.harness.ray_cluster import need_ray, ray_cluster
from tests.harness.storage_relay import StorageExchange, StorageRelay, passes
from tests.integration.export.conftest import tree

SHARDS, NODES = 6, 3


class Held:
    """Holds requests until each node has sent one, and the test lets them go on."""

    def __init__(self) -> None:
        self._arrived, self._go = threading.Semaphore(0), threading.Event()

    def __call__(self, exchange: StorageExchange) -> None:
        self._arrived.release()
        self._go.wait(PATIENCE)
        passes(exchange)

    def all_busy(self) -> None:
        """Wait until each node is held."""
        for _ in range(NODES):
            assert self._arrived.acquire(timeout=PATIENCE), "not all nodes read a video"

    def go_on(self) -> None:
        """Let all requests through."""
        self._go.set()


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[ObjectStorage]:
    """An object storage."""
    need_ray()
    with serving("moto", tmp_path) as storage:
        yield storage


def in_bucket(export: Any, storage: ObjectStorage) -> None:
    """A run whose videos are in the bucket, and not on the disk."""
    clips = [Made(f"clip-{number}", f"prompt {number}", b"%d" % number * 70_000) for number in range(SHARDS)]
    directory = export.make(*clips)
    with closing(sqlite3.connect(directory / LEDGER_NAME)) as db, db:
        db.execute("INSERT INTO meta VALUES ('videos', ?)", (storage.place,))
    for clip in clips:
        (directory / f"videos/{clip.id}.mp4").unlink()
        storage.write(f"videos/{clip.id}.mp4", clip.data)


def test_killed_and_frozen_nodes_lose_no_shard(
    export: Any, storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of three nodes makes a shard when one is killed and one is stopped: all are as if made here.

    Workers have the bucket's credentials from their own environment, and see the folder of the set.
    """
    relay, held = StorageRelay(storage.url), Held()
    in_bucket(export, storage)
    variables = storage.environment(relay.url)
    with ray_cluster(NODES - 1, **variables) as cluster:
        for name, value in (variables | cluster.environment()).items():
            monkeypatch.setenv(name, value)
        options = ("--format", "webdataset", "--shard-count", "1")
        here = export.folder / "here" / "out"
        here.parent.mkdir()
        export(*options, out=here)
        relay.rule("GET", ".mp4", held)
        read_before = relay.count("GET", ".mp4")
        with ThreadPoolExecutor(1) as pool:
            exporting = pool.submit(export, *options, "--on", "ray")
            held.all_busy()
            cluster.signal_node(1, signal.SIGKILL)
            cluster.signal_node(2, signal.SIGSTOP)
            held.go_on()
            done = exporting.result()
        cluster.signal_node(2, signal.SIGKILL)
    read = relay.count("GET", ".mp4") - read_before
    relay.close()
    assert done["added"] == SHARDS
    assert tree(export.out) == tree(here)
    assert [path.name for path in export.out.iterdir() if path.name.startswith(".")] == [JOURNAL]
    assert read >= SHARDS + 2  # what the lost nodes had begun was done again
    assert "made on the cluster" in export.err
    assert "0 shards made" not in export.err
