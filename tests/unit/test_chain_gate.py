"""Tasks that need others are held back until those are done, and then go first."""

from batchrunner.core.model import TaskKey
from batchrunner.core.states import TaskState
from batchrunner.core.submission.backlog import Backlog, Waiting
from batchrunner.core.submission.chains import ChainGate

ANT, BEE, CAT, DOG = (TaskKey(f"1-{number}") for number in range(4))
NEEDS = {BEE: {ANT}, CAT: {BEE}, DOG: {ANT, BEE}}


def waiting(key: TaskKey) -> Waiting:
    return Waiting(int(key[2:]), key, "fast")


def held(gate: ChainGate, *keys: TaskKey) -> list[TaskKey]:
    return [key for key in keys if gate.hold(waiting(key), 0.0)]


def let_go(gate: ChainGate, key: TaskKey, state: TaskState) -> list[TaskKey]:
    return [task.key for task, _ in gate.moved(key, state)]


def test_a_task_goes_once_all_that_it_needs_is_done():
    """Nothing else than "done" lets it go, and only what has waited is returned."""
    gate = ChainGate(NEEDS)
    gate.begin({})
    assert held(gate, ANT, BEE, CAT, DOG) == [BEE, CAT, DOG]
    for state in TaskState:
        if state is not TaskState.DONE:
            assert let_go(gate, ANT, state) == []
    assert let_go(gate, ANT, TaskState.DONE) == [BEE]
    assert let_go(gate, ANT, TaskState.DONE) == []
    assert let_go(gate, BEE, TaskState.DONE) == [CAT, DOG]


def test_what_the_ledger_says_is_older_than_what_has_happened():
    """A task that was done while the states were read stays done; one that may go now is returned."""
    gate = ChainGate(NEEDS)
    assert held(gate, BEE) == [BEE], "nothing is known yet"
    assert held(gate, CAT) == [CAT]
    assert let_go(gate, ANT, TaskState.DONE) == [BEE]
    freed = gate.begin({ANT: TaskState.COLLECTING, BEE: TaskState.DONE, CAT: TaskState.PENDING})
    assert [task.key for task, _ in freed] == [CAT]
    assert held(gate, DOG) == []


def test_the_earliest_time_is_kept():
    """A task that must not be submitted before some time comes back with it."""
    gate = ChainGate(NEEDS)
    assert gate.hold(waiting(BEE), 7.5)
    assert list(gate.moved(ANT, TaskState.DONE)) == [(waiting(BEE), 7.5)]


def test_only_a_video_that_is_being_collected_is_awaited():
    """What is in flight has a slot, what failed brings nothing; neither counts with nothing held back."""
    gate = ChainGate(NEEDS)
    gate.begin({ANT: TaskState.COLLECTING})
    assert not gate.is_awaited
    assert held(gate, CAT) == [CAT]
    assert not gate.is_awaited, "it needs another one"
    assert held(gate, BEE) == [BEE]
    assert gate.is_awaited
    let_go(gate, ANT, TaskState.UNCOLLECTED)
    assert not gate.is_awaited


def test_begun_chains_go_before_new_ones():
    """A task whose needs are done is taken before those earlier in the plan; the others keep their order."""
    backlog = Backlog(ChainGate({CAT: {ANT}}))
    for key in (DOG, CAT, BEE):
        backlog.put(waiting(key))
    assert len(backlog) == 2
    backlog = Backlog(gate := ChainGate({CAT: {ANT}}))
    gate.begin({ANT: TaskState.DONE})
    for key in (DOG, BEE, CAT):
        backlog.put(waiting(key))
    taken = [backlog.take(0.0, lambda kind: True) for _ in range(3)]
    assert [task and task.key for task in taken] == [CAT, BEE, DOG]
