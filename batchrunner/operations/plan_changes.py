"""Compares a plan with the ledger: what a run would do, and why. Changes neither."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batchrunner.core.model import Plan, PlannedTask
from batchrunner.core.plan import digest_form
from batchrunner.core.replicas import Known, recognised
from batchrunner.core.states import TaskState
from batchrunner.ledger import TaskRecord


class Change(StrEnum):
    """What a run would do with a task."""

    NEW = "new"
    """Submit: the ledger doesn't know it."""
    CHANGED = "changed"
    """Submit: its ID, or its place in the manifest, belonged to another request."""
    PENDING = "pending"
    """Submit: an earlier run did not reach it, or the user asked to retry it."""
    UNDER_WAY = "under way"
    """Poll and collect what is paid for."""
    DONE = "done"
    """Do nothing."""
    WAITS = "waits for a person"
    """Do nothing until the user decides: it failed or is in doubt."""
    REMOVED = "removed"
    """No longer in the manifest; what was paid for is kept."""


SUBMITTED = frozenset({Change.NEW, Change.CHANGED, Change.PENDING})

_BY_STATE = {
    TaskState.PENDING: Change.PENDING,
    TaskState.SUBMITTING: Change.WAITS,
    TaskState.IN_DOUBT: Change.WAITS,
    TaskState.GENERATING: Change.UNDER_WAY,
    TaskState.COLLECTING: Change.UNDER_WAY,
    TaskState.UNCOLLECTED: Change.UNDER_WAY,
    TaskState.DONE: Change.DONE,
    TaskState.FAILED: Change.WAITS,
}


@dataclass(frozen=True, slots=True)
class Step:
    """One task and what a run would do with it."""

    change: Change
    id: str
    key: str
    why: str
    source: str


def compare(plan: Plan, known: Sequence[TaskRecord], twins: Sequence[Known] = ()) -> list[Step]:
    """A step for every task of the plan, in order, then one for each task no longer in it.

    `twins` is what the ledger knows about every task, in the form that `core.replicas` needs.
    """
    by_key = {task.key: task for task in known}
    tasks = recognised(plan.tasks, twins)
    wanted = {task.key for task in tasks}
    gone = [task for task in known if task.position is not None and task.key not in wanted]
    former = {task.source: task for task in gone} | {task.id: task for task in gone}
    steps, replaced = [], set()
    for task in tasks:
        record, before = by_key.get(task.key), former.get(task.id) or former.get(task.source)
        steps.append(_step(task, record, before))
        if before and not record:
            replaced.add(before.key)
    removed = [task for task in gone if task.key not in replaced]
    return steps + [Step(Change.REMOVED, t.id, t.key, f"was {t.state}", t.source) for t in removed]


def _step(task: PlannedTask, record: TaskRecord | None, former: TaskRecord | None) -> Step:
    if record:
        why = " ".join(filter(None, (record.state.replace("_", " "), record.error_code)))
        return Step(_BY_STATE[record.state], task.id, task.key, why, task.source)
    if former:
        request: Mapping[str, Any] = json.loads(json.dumps(digest_form(task.request)))
        fields = ", ".join(_different(former.request, request)) or "the number of replicas"
        return Step(
            Change.CHANGED, task.id, task.key, f"differs in {fields}; the old video is kept", task.source
        )
    return Step(Change.NEW, task.id, task.key, "not in the ledger", task.source)


def _different(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterable[str]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _different(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}"
