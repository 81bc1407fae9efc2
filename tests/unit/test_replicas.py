"""Equal requests: no change of the manifest hands one's past to the other; what exists is taken first."""

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from batchrunner.core.model import MediaFile, PlannedTask
from batchrunner.core.replicas import Known, recognised
from batchrunner.core.request import fingerprint
from batchrunner.core.states import TaskState
from batchrunner.manifest.plan_store import PlanStore
from tests.harness.plans import plan_tasks, wanted_task

PICTURE = MediaFile("/a/cat.png", "cat.png", "ab" * 32, "image/png", 10)
DATA_URI = "data:image/png;base64,iVBORw0KGgo="
SAME = {"model": "fast", "prompt": "a cat", "metadata": {"duration": 5}}


def planned(*ids: str) -> PlanStore:
    """A plan that wants the same video under each of these ids."""
    return plan_tasks([wanted_task(SAME, id=name) for name in ids])


def assigned(tasks: PlanStore, ledger: Sequence[Known]) -> list[PlannedTask]:
    """The tasks of a plan under the keys that they have in a ledger."""
    tasks.assign(recognised(tasks, ledger))
    return list(tasks)


def known(tasks: PlanStore, *states: TaskState) -> list[Known]:
    """What a ledger says that these tasks entered in this order."""
    return [
        Known(task.key, task.id, state, tasks[0].first) for task, state in zip(tasks, states, strict=True)
    ]


def keys(tasks: Iterable[PlannedTask]) -> dict[str, str]:
    """Each task's key by its id."""
    return {task.id: task.key for task in tasks}


def test_without_a_ledger_the_plan_stays_as_it_is() -> None:
    """A first run numbers twins by their place."""
    tasks = planned("a", "b", "c")
    before = list(tasks)
    assert assigned(tasks, []) == before


@pytest.mark.parametrize("order", list(itertools.permutations("abc")))
def test_reordered_replicas_each_keep_their_own_past(order: Sequence[str]) -> None:
    """Ids tell twins apart, wherever they stand."""
    before = planned("a", "b", "c")
    ledger = known(before, TaskState.DONE, TaskState.PENDING, TaskState.FAILED)
    assert keys(assigned(planned(*order), ledger)) == keys(before)


@pytest.mark.parametrize("better", [TaskState.DONE, TaskState.GENERATING, TaskState.UNCOLLECTED])
@pytest.mark.parametrize("worse", [TaskState.FAILED, TaskState.PENDING, TaskState.IN_DOUBT])
def test_when_fewer_replicas_are_wanted_the_paid_ones_stay(better: TaskState, worse: TaskState) -> None:
    """Taken out, a twin that failed takes the video of the other along neither by its id nor by its place."""
    before = planned("a", "b")
    ledger = known(before, worse, better)
    for left in ("a", "b", "another"):
        (task,) = assigned(planned(left), ledger)
        assert (task.key, task.id) == (before[1].key, left)


def test_a_doubt_is_taken_before_anything_that_would_be_paid_for_now() -> None:
    """It may be the video that is wanted."""
    before = planned("a", "b")
    (task,) = assigned(planned("a"), known(before, TaskState.PENDING, TaskState.IN_DOUBT))
    assert task.key == before[1].key


def test_an_additional_replica_is_new_and_the_others_are_known() -> None:
    """One more than there were: only that one has a key that the ledger doesn't know."""
    before = planned("a", "b")
    after = assigned(planned("new", "b", "a"), known(before, TaskState.DONE, TaskState.DONE))
    assert {name: keys(after)[name] for name in "ab"} == keys(before)
    assert keys(after)["new"] not in keys(before).values()
    assert len({task.key for task in after}) == 3


def test_generated_ids_follow_their_key() -> None:
    """Anonymous twins are interchangeable: the one that is left is the one that is done."""
    before = planned("", "")
    (task,) = assigned(planned(""), known(before, TaskState.FAILED, TaskState.DONE))
    assert (task.key, task.id) == (before[1].key, before[1].id)


def test_tasks_without_a_twin_are_untouched() -> None:
    """Only equal requests are looked at."""
    tasks = plan_tasks([wanted_task(SAME | {"prompt": text}, id=text) for text in ("x", "y")])
    ledger = [Known(one.key, one.id, TaskState.FAILED, one.first) for one in tasks]
    before = list(tasks)
    assert assigned(tasks, ledger) == before


def test_of_two_equally_advanced_replicas_the_one_that_kept_its_id_stays() -> None:
    """Both under way: the first leaves the manifest, and the other one keeps its own past."""
    before = planned("a", "b")
    for state in TaskState:
        (task,) = assigned(planned("b"), known(before, state, state))
        assert task.key == before[1].key


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.PENDING])
def test_one_that_may_be_charged_stays_rather_than_one_that_is_not(state: TaskState) -> None:
    """The other one is pending and kept its ID: to submit it could pay for the one video twice."""
    before = planned("a", "b")
    charged, other = known(before, state, TaskState.PENDING)
    (task,) = assigned(planned("b"), [charged._replace(may_be_charged=True), other])
    assert task.key == before[0].key


@pytest.mark.parametrize(
    "extra",
    [
        {"image": PICTURE},
        {"images": [PICTURE, DATA_URI]},
        {"prompt": "data: a robot counts"},
        {"metadata": {"content": [{"type": "image_url", "image_url": {"url": DATA_URI}}]}},
        {"metadata": {"callback_url": "https://example.com/done", "frames": 121}},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_the_stored_request_identifies_its_twins(extra: dict[str, Any]) -> None:
    """The request as it is stored, media as hashes, has the fingerprint of the first of its twins."""
    for task in plan_tasks([wanted_task(SAME | extra)] * 2):
        assert fingerprint(json.loads(task.content.stored)) == task.first
