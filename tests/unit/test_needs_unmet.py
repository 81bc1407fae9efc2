"""The reason why a task that needs others waits: the one at the other end of the chain."""

from batchrunner.core.model import TaskKey
from batchrunner.core.needs_unmet import NEED_FAILED, NEED_IN_DOUBT, Unmet, blocked, unmet
from batchrunner.core.states import TaskState

ANT, BEE, CAT, DOG = (TaskKey(name) for name in ("ant", "bee", "cat", "dog"))
NEEDS = {BEE: {ANT}, CAT: {BEE}}


def told(needs: dict, **states: TaskState) -> list[tuple[str, str, str]]:
    found = unmet(needs, {TaskKey(name): state for name, state in states.items()}, str.upper)
    return [tuple(one) for one in found]


def test_the_first_cause_is_named():
    """Every later task of the chain names the one that failed, not the one before it."""
    assert told(NEEDS, ant=TaskState.FAILED, bee=TaskState.PENDING, cat=TaskState.PENDING) == [
        Unmet(BEE, NEED_FAILED, "needs ANT, which failed"),
        Unmet(CAT, NEED_FAILED, "needs ANT, which failed"),
    ]


def test_a_task_whose_needs_are_done_does_not_wait():
    """Nor does one that is not pending, whatever it needs."""
    assert told(NEEDS, ant=TaskState.DONE, bee=TaskState.PENDING, cat=TaskState.FAILED) == []
    assert told(NEEDS, ant=TaskState.FAILED, bee=TaskState.DONE, cat=TaskState.PENDING) == []


def test_of_several_causes_the_one_that_needs_a_person_is_named():
    """With one need that may still be done and one that failed, no run will go on by itself."""
    needs = {CAT: {ANT, BEE}}
    (found,) = told(needs, ant=TaskState.PENDING, bee=TaskState.UNCOLLECTED, cat=TaskState.PENDING)
    assert found == (CAT, NEED_FAILED, "needs BEE, which is uncollected")
    (found,) = told(needs, ant=TaskState.IN_DOUBT, bee=TaskState.DONE, cat=TaskState.PENDING)
    assert found == (CAT, NEED_IN_DOUBT, "needs ANT, which is in doubt")
    for ant, bee in ((TaskState.IN_DOUBT, TaskState.FAILED), (TaskState.FAILED, TaskState.IN_DOUBT)):
        (found,) = told(needs, ant=ant, bee=bee, cat=TaskState.PENDING)
        assert found[1] == NEED_FAILED
    (found,) = told(needs, ant=TaskState.PENDING, bee=TaskState.IN_DOUBT, cat=TaskState.PENDING)
    assert found == (CAT, NEED_IN_DOUBT, "needs BEE, which is in doubt")


def test_a_chain_may_be_long():
    """Ten thousand shots in a row are no problem."""
    keys = [TaskKey(f"{number:05}") for number in range(10_000)]
    needs = dict(zip(keys[1:], ({key} for key in keys), strict=False))
    states = dict.fromkeys(keys, TaskState.PENDING) | {keys[0]: TaskState.FAILED}
    found = list(unmet(needs, states, str))
    assert len(found) == 9999
    assert {one.message for one in found} == {"needs 00000, which failed"}


def test_what_is_not_selected_is_not_waited_for():
    """A run of some tasks never submits what needs others that are left out, however far they are along."""
    needs = {BEE: {ANT}, CAT: {BEE}}
    assert blocked(needs, {}, {CAT}) == {BEE, CAT}
    assert blocked(needs, {}, {BEE, CAT}) == {BEE, CAT}
    assert blocked(needs, {}, {ANT, BEE, CAT}) == frozenset()
    assert blocked(needs, {ANT: TaskState.GENERATING}, {BEE, CAT}) == frozenset()
    assert blocked(needs, {}) == frozenset()
