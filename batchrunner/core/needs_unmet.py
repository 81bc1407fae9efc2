"""Why tasks that need others have to wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from graphlib import TopologicalSorter
from typing import NamedTuple

from batchrunner.core.model import TaskKey
from batchrunner.core.states import TaskState
from batchrunner.core.text import printable

NEED_FAILED = "need_failed"
"""Our code for a pending task that won't be submitted: what it needs has failed, or was not collected."""
NEED_PENDING = "need_pending"
"""Our code for a pending task that waits for another one, which may still be done."""

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
) -> Iterator[Unmet]:
    """Each pending task that needs what isn't done, with the first cause at the other end of the chain.

    `needs` has the tasks that need others; `name` returns a task's ID. A task without a state is pending.
    """
    causes: dict[TaskKey, TaskKey] = {}
    for key in TopologicalSorter(needs).static_order():
        if states.get(key, TaskState.PENDING) is TaskState.PENDING:
            waits_for = [one for one in needs.get(key, ()) if states.get(one) is not TaskState.DONE]
            ends = [causes.get(one, one) for one in waits_for]
            if ends:
                causes[key] = min(ends, key=lambda end: states.get(end) not in _FAILED)
    for key, end in causes.items():
        state = states.get(end, TaskState.PENDING)
        was = "failed" if state is TaskState.FAILED else f"is {state.replace('_', ' ')}"
        code = NEED_FAILED if state in _FAILED else NEED_PENDING
        yield Unmet(key, code, f"needs {printable(name(end))}, which {was}")


def blocked(
    needs: Mapping[TaskKey, Collection[TaskKey]], states: Mapping[TaskKey, TaskState]
) -> frozenset[TaskKey]:
    """The tasks that no run would submit, because what they need has failed; see `unmet`."""
    return frozenset(one.key for one in unmet(needs, states, str) if one.code == NEED_FAILED)
