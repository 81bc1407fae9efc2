"""The quickstart with `--collect-on ray`, on a cluster that is started for it."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gateway import KEY
from tests.harness.object_storage import serving
from tests.harness.ray_cluster import need_ray
from tests.harness.run_directory import files_with

MANIFESTS = Path(__file__).parents[2] / "manifests"
TASKS = 6


def test_six_videos_come_from_the_cluster_and_are_paid_once(desk: Any) -> None:
    """Workers download all, the charge book has six charges, and the key is in no file."""
    need_ray()
    folder = desk.folder / "manifests"
    shutil.copytree(MANIFESTS, folder, ignore=shutil.ignore_patterns("*.simulated", "*.run"))
    desk.directory, desk.planned = folder / "quickstart.simulated", TASKS
    desk.environment["RAY_ADDRESS"] = "local"  # not one that somebody else runs on this machine
    words = ("run", "manifests/quickstart.yaml", "--simulate", "--time-scale", "0.02")
    ended = desk.do(*words, "--collect-on", "ray", key=None)
    desk.check(ended, 0)
    assert "6 videos downloaded on the cluster" in ended.stderr
    charges = (desk.directory / ".simulator" / "charges.jsonl").read_text().splitlines()
    videos = sorted(path.name for path in (desk.directory / "videos").iterdir())
    assert (len(charges), len(videos)) == (TASKS, TASKS + 1)
    assert videos[0] == ".run-id"
    assert files_with("sk-simulated", desk.directory) == []


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder for what Ray writes; its path must be short, as sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:
        yield Path(folder)


def test_workers_store_in_the_bucket_and_never_see_the_key(desk: Any, sim: Any, scratch: Path) -> None:
    """The objects are the charged videos; the key is in nothing that Ray wrote."""
    need_ray()
    sim.start()
    desk.environment |= {"RAY_ADDRESS": "local", "RAY_TMPDIR": str(scratch)}
    desk.write("ant", "bee", "cat")
    with serving("moto", scratch) as storage:
        desk.environment |= storage.environment()
        ended = desk.run("--videos", storage.place, "--collect-on", "ray")
        assert ended.code == 0
        assert "3 videos downloaded on the cluster" in ended.stderr
        stored = {row["remote_id"]: storage.read(row["file_name"]).content for row in desk.rows()}
    assert stored == {charge["remote_id"]: sim.video(charge["remote_id"]) for charge in sim.charges()}
    assert len(stored) == len(sim.charges()) == 3
    assert list(scratch.glob("**/raylet.out"))  # this is where Ray's logs are
    assert files_with(KEY, scratch) == []


@pytest.mark.parametrize("given", ["dask", "ray://", "ray://bob:canary@host:10001", "ray://host"])
def test_another_word_than_a_cluster_is_refused(desk: Any, given: str) -> None:
    """Before anything is sent, with what to write, and without repeating what may be a password."""
    ended = desk.do("run", "batch.yaml", "--simulate", "--collect-on", given)
    assert ended.code == 2
    assert "use ray, or ray://HOST:PORT" in ended.stderr
    assert "canary" not in ended.stderr
