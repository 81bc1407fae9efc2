"""Before a run: the ledger held against the files on disk and against the manifest."""

import pytest

from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.engine.preparation import bring_up_to_date
from batchrunner.manifest import load_manifest
from batchrunner.operations.plan_changes import recognise

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
    ("dead", "by_a_person", "state"),
    [
        ({}, False, "collecting"),
        ({"content_dead_at": 1.0}, False, "collecting"),
        ({"link_dead_at": 1.0}, False, "collecting"),
        ({"content_dead_at": 1.0, "link_dead_at": 1.0}, False, "uncollected"),
        ({"content_dead_at": 1.0, "link_dead_at": 1.0}, True, "collecting"),
    ],
)
def test_a_run_asks_again_until_both_sources_are_known_to_be_dead(
    tmp_path, in_ledger, filled, dead, by_a_person, state
):
    """However long ago it was made; and a person may have even dead links asked once more."""
    (key,) = filled("a")

    async def story(ledger):
        await ledger.claim(key, 1, None)
        facts = {"remote_id": "task_0001", "result_url": "https://files.example/a", "finished_at": 1.0}
        await ledger.move(key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=AttemptFacts(**facts)))
        await ledger.move(key, Move(Event.SUCCEEDED, TaskState.COLLECTING))
        gone = Move(Event.UNCOLLECTABLE, TaskState.UNCOLLECTED, facts=AttemptFacts(**dead))
        await ledger.move(key, gone)
        await bring_up_to_date(ledger, tmp_path, None, recollect_all=by_a_person)
        return await ledger.task(key)

    (tmp_path / "videos").mkdir()
    assert in_ledger(story).state == state


def test_a_run_knows_the_twin_that_is_left_by_its_past(tmp_path, in_ledger, plan, want):
    """Of two equal requests the first, never submitted, leaves the manifest: the other one stays done."""
    twins, left = plan(want("a", "cat"), want("b", "cat")), plan(want("b", "cat"))

    async def story(ledger):
        await ledger.reconcile(twins, frozenset())
        await finish(ledger, twins.tasks[1].key)
        await recognise(left.tasks, ledger)

    in_ledger(story)
    assert [task.key for task in left.tasks] == [twins.tasks[1].key]


def test_what_was_made_from_a_twin_follows_it(tmp_path, in_ledger):
    """Of two equal shots the first leaves the manifest: what was made from the other one stays done, too."""
    shots = """version: 1
defaults: {model: dreamina-seedance-2-0-fast}
tasks:
  - {id: a, prompt: cat}
  - {id: b, prompt: cat}
  - {id: c, prompt: on, image: "task:b/last_frame"}
  - {id: d, prompt: further, image: "task:c/last_frame"}
"""
    manifest = tmp_path / "m.yaml"
    manifest.write_text(shots)
    both = load_manifest(manifest).plan
    manifest.write_text(shots.replace("  - {id: a, prompt: cat}\n", ""))
    left = load_manifest(manifest).plan

    async def story(ledger):
        await ledger.reconcile(both, frozenset())
        await recognise(left.tasks, ledger)

    in_ledger(story)
    b, c, d = (task.key for task in left.tasks)
    assert [b, c, d] == [task.key for task in both.tasks][1:]
    assert left.tasks.needs() == {c: {b}, d: {c}}
