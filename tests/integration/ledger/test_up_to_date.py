"""Before a run: the ledger held against the files on disk and against the manifest."""

from types import SimpleNamespace

import pytest

from batchrunner import runner
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.gateway import ApiKey, GatewaySettings
from batchrunner.job import Job
from batchrunner.preparation import bring_up_to_date

PATH_TO_DONE = (
    (Event.ACCEPTED, TaskState.GENERATING, {"remote_id": "task_0001"}),
    (Event.SUCCEEDED, TaskState.COLLECTING, {}),
    (Event.COLLECTED, TaskState.DONE, {"size": 5}),
)


async def finish(ledger, key):
    """Bring a pending task to its end, with a video of five bytes."""
    await ledger.claim(key, 1, None)
    for event, to, facts in PATH_TO_DONE:
        await ledger.move(key, Move(event, to, facts=AttemptFacts(**facts)))


@pytest.mark.parametrize(
    ("content", "state"),
    [(b"whole", "done"), (b"whol", "collecting"), (b"", "collecting"), (None, "collecting")],
)
def test_a_finished_video_that_is_gone_or_cut_is_collected_again(tmp_path, in_ledger, filled, content, state):
    """A file of another size than was verified is not the video; fetching it again is free."""
    (key,) = filled("a")

    async def story(ledger):
        await finish(ledger, key)
        task = await ledger.task(key)
        if content is not None:
            (tmp_path / task.file_name).write_bytes(content)
        await bring_up_to_date(ledger, tmp_path, None, recollect_all=False)
        return await ledger.task(key)

    (tmp_path / "videos").mkdir()
    assert in_ledger(story).state == state


def test_a_run_knows_the_twin_that_is_left_by_its_past(tmp_path, in_ledger, plan, want):
    """Of two equal requests the first, never submitted, leaves the manifest: the other one stays done."""
    twins, left = plan(want("a", "cat"), want("b", "cat")), plan(want("b", "cat"))
    settings = GatewaySettings("https://gateway.example")

    async def story(ledger):
        await ledger.reconcile(twins, frozenset())
        await finish(ledger, twins.tasks[1].key)
        job = Job(tmp_path, SimpleNamespace(), settings, "", lambda: ApiKey("sk-canary", "a test"), left)
        return (await runner._recognised(job, ledger)).plan

    assert [task.key for task in in_ledger(story).tasks] == [twins.tasks[1].key]
