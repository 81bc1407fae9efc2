"""What the process says of a run."""

import itertools
from pathlib import Path

import pytest

from batchrunner.core.errors import ExitCode
from batchrunner.core.states import TaskState
from batchrunner.core.submission.decision import Stop
from batchrunner.core.summary import Tally
from batchrunner.output.summary import Summary

STOPPED_FOR = {
    "": None,
    "account": Stop("the key", "look", ExitCode.ACCOUNT),
    "storage": Stop("the disk", "make room", ExitCode.STORAGE),
    "rejections": Stop("all alike", "correct", ExitCode.FAILED),
    "idle": Stop("nothing accepted", "later", ExitCode.UNFINISHED),
}


def code(*present: TaskState, **ended) -> int:
    counts = {state: 3 if state in present else 0 for state in TaskState}
    return Summary(Path(), counts, **ended).exit_code


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (TaskState.PENDING, 75),
        (TaskState.SUBMITTING, 75),
        (TaskState.IN_DOUBT, 3),
        (TaskState.GENERATING, 75),
        (TaskState.COLLECTING, 75),
        (TaskState.DONE, 0),
        (TaskState.UNCOLLECTED, 1),
        (TaskState.FAILED, 1),
    ],
)
def test_each_state_has_its_exit_code(state, expected):
    """What one state among tasks that are done makes of the run."""
    assert code(state) == expected
    assert code(state, TaskState.DONE) == expected


def test_a_run_without_tasks_is_done():
    """A run without tasks is done."""
    assert code() == 0
    assert Summary(Path(), {}).exit_code == 0


@pytest.mark.parametrize(("signal", "expected"), [(2, 130), (15, 143)])
def test_a_signal_comes_first(signal, expected):
    """Stopped by a signal, that is what the process says, whatever else there is."""
    everything = {"signal": signal, "storage": "disk full", "stop": STOPPED_FOR["account"]}
    assert code(*TaskState, **everything) == expected


def expected_code(present: tuple[TaskState, ...], signal: int, storage: str, reason: str) -> int:
    """DESIGN.md: 130/143, 5, 4, 3, 75, 1, 0; what rejections leave over waits for a person: 1."""
    here = set(present)
    if signal:
        return 128 + signal
    if storage or reason == "storage":
        return 5
    if reason == "account":
        return 4
    if TaskState.IN_DOUBT in here:
        return 3
    if reason == "rejections":
        return 1
    if here & {TaskState.PENDING, TaskState.SUBMITTING, TaskState.GENERATING, TaskState.COLLECTING}:
        return 75
    return 1 if here & {TaskState.FAILED, TaskState.UNCOLLECTED} else 0


def test_the_most_urgent_exit_code_wins():
    """Every combination of states, signal, disk and stop gives the first code of the design's order."""
    subsets = [
        present for size in range(len(TaskState) + 1) for present in itertools.combinations(TaskState, size)
    ]
    for present, signal, storage, reason in itertools.product(subsets, (0, 2, 15), ("", "full"), STOPPED_FOR):
        if reason in ("idle", "rejections") and TaskState.PENDING not in present:
            continue  # these stop only what still waits
        ended = {"signal": signal, "storage": storage, "stop": STOPPED_FOR[reason]}
        assert code(*present, **ended) == expected_code(present, signal, storage, reason), (present, ended)


def test_a_tally_follows_the_moves():
    """A tally counts a task where it went, and no longer where it was."""
    tally = Tally({TaskState.PENDING: 2, TaskState.SUBMITTING: 0})
    tally.moved(TaskState.PENDING, TaskState.SUBMITTING)
    assert (tally[TaskState.PENDING], tally[TaskState.SUBMITTING], tally[TaskState.DONE]) == (1, 1, 0)
    assert tally.total() == 2
