"""Why tasks that need others have to wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

from batchrunner.core.model import TaskKey
from batchrunner.core.states import TaskState
from batchrunner.core.text import printable

NEED_FAILED = "need_failed"
"""Our code for a pending task that won't be submitted: what it needs has failed, or was not collected."""
NEED_PENDING = "need_pending"
"""Our code for a pending task that waits for another one, which may still be done."""
NEED_IN_DOUBT = "need_in_doubt"
"""The same for one in doubt, which a person may have to settle."""

_FAILED = frozenset({TaskState.FAILED, TaskState.UNCOLLECTED})


class Unmet(NamedTuple):
    """Why a pending task waits."""

    key: TaskKey
    code: str
    message: str


def unmet(
    needs: Mapping[TaskKey, Collection[TaskKey]],
    states: Mapping[TaskKey, TaskState],
    name: Callable[[TaskKey], str],
    selected: Container[TaskKey] | None = None,
) -> Iterator[Unmet]:
    """Each pending task that needs what isn't done, with the first cause at the other end of the chain.

    `needs` has the tasks that need others; `name` returns a task's ID. A task without a state is pending.
    Only those in `selected` are submitted; None for all.
    """

    def is_left_out(key: TaskKey) -> bool:
        is_pending = states.get(key, TaskState.PENDING) is TaskState.PENDING
        return is_pending and selected is not None and key not in selected

    def is_over(key: TaskKey) -> bool:
        return states.get(key) in _FAILED or is_left_out(key)

    def urgency(key: TaskKey) -> int:
        """What only a person can settle comes first: what is over, then what is in doubt."""
        return 0 if is_over(key) else 1 if states.get(key) is TaskState.IN_DOUBT else 2

    causes: dict[TaskKey, TaskKey] = {}
    for key in TopologicalSorter(needs).static_order():
        if states.get(key, TaskState.PENDING) is TaskState.PENDING:
            waits_for = [one for one in needs.get(key, ()) if states.get(one) is not TaskState.DONE]
            ends = [one if is_left_out(one) else causes.get(one, one) for one in waits_for]
            if ends:
                causes[key] = min(ends, key=urgency)
    for key, end in causes.items():
        state = states.get(end, TaskState.PENDING)
        was = "failed" if state is TaskState.FAILED else f"is {state.replace('_', ' ')}"
        if is_left_out(end):
            was = "is not selected"
        waits = NEED_IN_DOUBT if state is TaskState.IN_DOUBT else NEED_PENDING
        code = NEED_FAILED if is_over(end) else waits
        yield Unmet(key, code, f"needs {printable(name(end))}, which {was}")


def blocked(
    needs: Mapping[TaskKey, Collection[TaskKey]],
    states: Mapping[TaskKey, TaskState],
    selected: Container[TaskKey] | None = None,
) -> frozenset[TaskKey]:
    """The tasks that a run won't submit: what they need has failed, or is not among the `selected` ones."""
    return frozenset(one.key for one in unmet(needs, states, str, selected) if one.code == NEED_FAILED)
