"""Videos that a real cluster downloads, on two nodes of which one is killed."""

import asyncio

import pytest

from batchrunner.core.states import TaskState
from batchrunner.engine.remote_fetcher import CHILD
from tests.harness.ray_cluster import two_nodes

TASKS = 8


@pytest.mark.filterwarnings("ignore")  # what Ray warns about is not ours
def test_killed_node_loses_no_video(bench, answers, video, on_disk, monkeypatch):
    """After the first video, one of two nodes is killed: all are there, whole, and nothing else is."""
    with two_nodes() as (cluster, node):
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)

        async def story(parts):
            collecting = {asyncio.create_task(parts.collector.collect(task.key)) for task in parts.tasks}
            await asyncio.wait(collecting, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.to_thread(cluster.remove_node, node, allow_graceful=False)
            await asyncio.gather(*collecting)
            return [await parts.ledger.task(task.key) for task in parts.tasks], parts

        ids = [f"cat-{number}" for number in range(TASKS)]
        records, parts = bench([answers.reply(500)], [answers.whole()], story, ids=ids, child=CHILD)
    assert {record.state for record in records} == {TaskState.DONE}
    assert on_disk() == {f"{name}.mp4": video for name in ids}
    assert set(parts.files.asked) == {"link"}
    assert "downloaded on the cluster" in parts.notices[-1]
    assert not parts.notices[-1].startswith("0 ")
