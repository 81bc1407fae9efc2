"""Videos that a real cluster downloads, on three nodes of which one is killed and one is frozen."""

import asyncio
import os
import signal

from batchrunner.core.states import TaskState
from batchrunner.engine.cluster_child import CHILD
from batchrunner.storage.files import remove_part_files
from tests.harness.processes import PATIENCE, until
from tests.harness.ray_cluster import short_folder

TASKS, NODES = 6, 3


class Held:
    """The whole video, once each node is downloading one and the test lets them go on."""

    def __init__(self, whole):
        self._whole, self._held = whole, 0
        self.all_busy, self.go_on = asyncio.Event(), asyncio.Event()

    async def __call__(self, exchange):
        self._held += 1
        if self._held == NODES:
            self.all_busy.set()
        await self.go_on.wait()
        await self._whole(exchange)


def test_killed_and_frozen_nodes_lose_no_video(
    bench, answers, video, on_disk, monkeypatch, tmp_path, cluster
):
    """Each of three nodes is downloading when one is killed and one is stopped: all videos come, whole."""
    held = Held(answers.whole())
    for name, value in cluster.environment().items():
        monkeypatch.setenv(name, value)

    async def story(parts):
        collecting = [asyncio.create_task(parts.collector.collect(task.key)) for task in parts.tasks]
        await asyncio.wait_for(held.all_busy.wait(), PATIENCE)
        cluster.signal_node(1, signal.SIGKILL)
        cluster.signal_node(2, signal.SIGSTOP)
        held.go_on.set()
        await asyncio.gather(*collecting)
        return [await parts.ledger.task(task.key) for task in parts.tasks], parts

    ids = [f"cat-{number}" for number in range(TASKS)]
    records, parts = bench([answers.reply(500)], [held], story, ids=ids, child=CHILD)
    cluster.signal_node(2, signal.SIGKILL)
    assert {record.state for record in records} == {TaskState.DONE}
    assert set(parts.files.asked) == {"link"}
    assert len(parts.files.asked) >= TASKS + 2  # what the lost nodes had begun was done again
    assert "downloaded on the cluster" in parts.notices[-1]
    assert not parts.notices[-1].startswith("0 ")

    def only_videos():  # after what the next start of the run does
        remove_part_files(tmp_path / "videos")
        return set(on_disk()) == {f"{name}.mp4" for name in ids}

    until(only_videos, "the frozen worker to end")
    assert set(on_disk().values()) == {video}


def test_lost_connection_is_made_again_and_no_ray_is_started_here(
    bench, answers, video, on_disk, monkeypatch, cluster
):
    """The head's process for the connection is killed: the next child connects to the same cluster."""
    environment = cluster.environment()
    del environment["RAY_ADDRESS"]
    for name, value in (environment | {"RAY_CLIENT_RECONNECT_GRACE_PERIOD": "1"}).items():
        monkeypatch.setenv(name, value)

    async def story(parts):
        ant, bee, cat = (task.key for task in parts.tasks)
        await parts.collector.collect(ant)
        (lost,) = cluster.clients()
        os.kill(lost, signal.SIGKILL)
        await parts.collector.collect(bee)
        await asyncio.to_thread(until, lambda: cluster.clients() - {lost}, "the next child")
        await parts.collector.collect(cat)
        return parts.notices

    with short_folder() as here:
        monkeypatch.setenv("RAY_TMPDIR", str(here))
        ids, starts = ("ant", "bee", "cat"), (0.0, 0.0)
        notices = bench(
            [answers.reply(500)], [answers.whole()], story, ids, child=CHILD, starts=starts, on=cluster.client
        )
        assert list(here.glob("**/raylet*")) == []  # what a Ray of its own would write
    assert "the cluster can't be used: the connection is lost" in notices
    assert notices[-1] == "2 videos downloaded on the cluster in 3 tries"
    assert on_disk() == {f"{name}.mp4": video for name in ids}
