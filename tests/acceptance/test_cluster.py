"""Runs with `--collect-on`, on a cluster with a token, and on one that is started for the run."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gateway import KEY
from tests.harness.object_storage import serving
from tests.harness.processes import clean_environment
from tests.harness.ray_cluster import TOKEN, RayCluster, known_to_ray, need_ray, short_folder
from tests.harness.run_directory import files_with
from tests.harness.storage_relay import HeldRequest, StorageRelay

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
TASKS = 6


def test_six_videos_come_from_the_cluster_and_are_paid_once(desk: Any, cluster: RayCluster) -> None:
    """The Python API's `collect_on`: workers download all, and neither key nor token is in a file."""
    folder = desk.folder / "manifests"
    shutil.copytree(MANIFESTS, folder, ignore=shutil.ignore_patterns("*.simulated", "*.run"))
    desk.directory, desk.planned = folder / "quickstart.simulated", TASKS
    call = "batchrunner.run('manifests/quickstart.yaml', simulate=True, time_scale=0.02, collect_on='ray')"
    code = f"import asyncio, batchrunner; print(int(asyncio.run({call}).exit_code))"
    environment = clean_environment(desk.folder, PYTHONPATH=str(ROOT), **cluster.environment())
    words = [sys.executable, "-W", "error", "-c", code]
    ended = subprocess.run(
        words, cwd=desk.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")
    assert "6 videos downloaded on the cluster" in (desk.directory / "run.log").read_text()
    charges = (desk.directory / ".simulator" / "charges.jsonl").read_text().splitlines()
    videos = sorted(path.name for path in (desk.directory / "videos").iterdir())
    assert (len(charges), len(videos)) == (TASKS, TASKS + 1)
    assert videos[0] == ".run-id"
    for secret in ("sk-simulated", TOKEN):
        assert files_with(secret, desk.folder) == []


def test_workers_store_in_the_bucket_and_never_see_the_key(desk: Any, sim: Any) -> None:
    """The objects are the charged videos; while one is being stored, nothing of Ray has the key."""
    need_ray()
    sim.start()
    desk.write("ant", "bee", {"id": "cat", "prompt": "cat runs", "metadata": {"return_last_frame": True}})
    with short_folder() as scratch, serving("moto", scratch) as storage:
        relay, held = StorageRelay(storage.url), HeldRequest()
        relay.rule("PUT", ".mp4", held, times=1)
        desk.environment |= {"RAY_ADDRESS": "local", "RAY_TMPDIR": str(scratch)}
        desk.environment |= storage.environment(relay.url)
        running = desk.start_run("--videos", storage.place, "--collect-on", "ray")
        held.reached()
        known = [*known_to_ray(scratch)]
        held.go_on()
        ended = running.ended()
        relay.close()
        assert ended.code == 0
        assert "3 videos downloaded on the cluster" in ended.stderr
        stored = {row["remote_id"]: storage.read(row["file_name"]).content for row in desk.rows()}
        picture = storage.read(desk.row("cat")["last_frame_file"])
        assert list(scratch.glob("**/raylet.out"))  # this is where Ray's logs and its session are
        assert files_with(KEY, scratch) == []
    assert {what for what, _ in known} == {"arguments", "environment", "object store"}
    assert [what for what, content in known if KEY.encode() in content] == []
    # The process of the run that uses the cluster is among them, which begins with the run's environment.
    assert any(b"batchrunner.cluster" in content for what, content in known if what == "arguments")
    assert stored == {charge["remote_id"]: sim.video(charge["remote_id"]) for charge in sim.charges()}
    assert len(stored) == len(sim.charges()) == 3
    assert picture.content.startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize("given", ["dask", "ray://", "ray://bob:canary@host:10001", "ray://host"])
def test_another_word_than_a_cluster_is_refused(desk: Any, given: str) -> None:
    """Before anything is sent, with what to write, and without repeating what may be a password."""
    ended = desk.do("run", "batch.yaml", "--simulate", "--collect-on", given)
    assert ended.code == 2
    assert "use ray, or ray://HOST:PORT" in ended.stderr
    assert "canary" not in ended.stderr
