"""Matches replicas in the plan with the ledger's tasks.

Replicas differ only in a number, so editing the manifest must not swap their histories: existing tasks are
reused before new ones are created, and a task that keeps its ID keeps its history.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.states import TaskState

_BEST_FIRST = (
    TaskState.DONE,
    TaskState.COLLECTING,
    TaskState.GENERATING,
    TaskState.UNCOLLECTED,
    TaskState.SUBMITTING,
    TaskState.IN_DOUBT,
)
_NOT_PAID_FOR = (TaskState.PENDING, TaskState.FAILED)
"""Unless an earlier attempt may be charged."""


class Known(NamedTuple):
    """A task as recorded in the ledger."""

    key: TaskKey
    id: str
    state: TaskState
    first: TaskKey
    """The fingerprint of its request: the key of the first replica, the same for all of them."""
    may_be_charged: bool = False
    """The gateway accepted an attempt, or may have, and did not refund it."""

    @property
    def rank(self) -> tuple[int, bool, int]:
        """Which replicas to keep if the plan has fewer than the ledger: paid for, then those that may be."""
        if self.state in _BEST_FIRST:
            return _BEST_FIRST.index(self.state), False, 0
        return len(_BEST_FIRST), not self.may_be_charged, _NOT_PAID_FOR.index(self.state)


def recognised(tasks: Iterable[PlannedTask], ledger: Iterable[Known]) -> Mapping[int, TaskKey]:
    """The keys of the plan's replicas in the ledger, by position; those that stay the same are left out.

    Both hold at least every task whose request is in the plan or in the ledger more than once.
    """
    known: dict[TaskKey, list[Known]] = defaultdict(list)
    for one in ledger:
        known[one.first].append(one)
    wanted: dict[TaskKey, list[PlannedTask]] = defaultdict(list)
    for task in tasks:
        wanted[task.first].append(task)
    keys: dict[int, TaskKey] = {}
    for first, group in wanted.items():
        there = known.get(first, [])
        if len(group) > 1 or len(there) > 1:
            found = _keys(group, there)
            keys |= {one.position: found[one.position] for one in group if found[one.position] != one.key}
    return keys


def _keys(group: Sequence[PlannedTask], there: Sequence[Known]) -> Mapping[int, TaskKey]:
    """The keys of a group of replicas, by position in the plan."""
    ids = {task.id for task in group}
    kept = sorted(there, key=lambda one: (one.rank, one.id not in ids))[: len(group)]
    by_id = {one.id: one.key for one in kept}
    found = {task.position: by_id[task.id] for task in group if task.id in by_id}
    taken = {one.key for one in there}
    given = set(found.values())
    free = [one.key for one in kept if one.key not in given]
    free += [task.key for task in group if task.key not in taken]
    others = (task.position for task in group if task.position not in found)
    return found | dict(zip(others, free, strict=False))
