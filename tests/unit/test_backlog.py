"""Which pending task is next."""

from hypothesis import given
from hypothesis import strategies as st

from batchrunner.core.model import TaskKey
from batchrunner.core.submission.backlog import Backlog, Waiting


def task(position: int, model: str = "fast") -> Waiting:
    return Waiting(position, TaskKey(f"1-{position}"), model)


def everything(backlog: Backlog, now: float) -> list[int]:
    taken = []
    while (waiting := backlog.take(now, lambda model: True)) is not None:
        taken.append(waiting.position)
    return taken


def test_tasks_leave_in_plan_order():
    """Whatever order they came in, the first task of the plan goes first, across models."""
    backlog = Backlog()
    for position in (3, 0, 2, 1):
        backlog.put(task(position, "fast" if position % 2 else "slow"))
    assert everything(backlog, now=0) == [0, 1, 2, 3]
    assert len(backlog) == 0


def test_a_task_that_has_to_wait_lets_others_pass():
    """A task before its time stands aside, is announced, and goes once its time has come."""
    backlog = Backlog()
    backlog.put(task(0), not_before=10)
    backlog.put(task(1))
    assert everything(backlog, now=9.9) == [1]
    assert backlog.next_due() == 10
    assert everything(backlog, now=10) == [0]
    assert backlog.next_due() is None


def test_a_model_that_may_not_go_keeps_its_tasks():
    """Tasks of a model that is held back stay, and leave in their order when it is back."""
    backlog = Backlog()
    for position in range(4):
        backlog.put(task(position, "fast" if position % 2 else "slow"))
    taken = [backlog.take(0, lambda kind: kind.model == "fast") for _ in range(3)]
    assert [waiting and waiting.position for waiting in taken] == [1, 3, None]
    assert len(backlog) == 2
    assert everything(backlog, now=0) == [0, 2]


def test_a_task_that_waits_already_is_not_added_again():
    """Told twice, a task leaves once; it may come again when it has left."""
    backlog = Backlog()
    for not_before in (0.0, 0.0, 5.0):
        backlog.put(task(0), not_before)
    assert everything(backlog, now=9) == [0]
    backlog.put(task(0))
    assert everything(backlog, now=9) == [0]


def test_an_empty_backlog_has_nothing_to_give():
    """Nothing waits, nothing is due."""
    backlog = Backlog()
    assert backlog.take(0, lambda model: True) is None
    assert (len(backlog), backlog.next_due()) == (0, None)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10), st.sampled_from("ab")), max_size=30))
def test_nothing_is_lost_and_nothing_leaves_early(entries):
    """Every task that was put leaves exactly once, none before its time."""
    backlog, left = Backlog(), []
    for number, (_, when, model) in enumerate(entries):
        backlog.put(task(number, model), not_before=float(when))
    for now in range(11):
        for position in everything(backlog, float(now)):
            assert entries[position][1] <= now
            left.append(position)
    assert sorted(left) == list(range(len(entries)))
