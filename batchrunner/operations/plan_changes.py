"""Compares a plan with the ledger: what a run would do, and why. Changes neither."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batchrunner.core.content import RequestForm
from batchrunner.core.model import PlannedTask, PlannedTasks, TaskKey
from batchrunner.core.replicas import recognised
from batchrunner.core.states import TaskState
from batchrunner.ledger import LedgerReader, Standing, TaskRecord


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
    form: RequestForm | None = None
    """Its request without prompt and seed; None if it is no longer in the manifest."""

    @property
    def values(self) -> dict[str, str]:
        """What `plan --json` shows."""
        return {
            "change": self.change.value,
            "id": self.id,
            "key": self.key,
            "why": self.why,
            "source": self.source,
        }


async def recognise(tasks: PlannedTasks, ledger: LedgerReader) -> None:
    """Give the replicas in a plan the keys that they have in the ledger."""
    repeated = tasks.repeated()
    if known := await ledger.known(repeated):
        group = tasks.of_requests(repeated | {one.first for one in known})
        tasks.assign(recognised(group, known))


async def compared(tasks: PlannedTasks, ledger: LedgerReader) -> Iterator[Step]:
    """What a run would do with the tasks of a plan and with those in its ledger; see `compare`."""
    await recognise(tasks, ledger)
    standing = await ledger.standing()
    left = [key for key, task in standing.items() if task.is_planned and tasks.find(key) is None]
    return compare(tasks, standing, [await ledger.task(key) for key in left])


def compare(
    tasks: Iterable[PlannedTask], standing: Mapping[TaskKey, Standing], gone: Sequence[TaskRecord]
) -> Iterator[Step]:
    """A step for every task of the plan, in order, then one for each task no longer in it.

    `standing` is where the ledger's tasks stand; `gone` are those that have just left the plan.
    """
    former = {task.source: task for task in gone} | {task.id: task for task in gone}
    replaced = set()
    for task in tasks:
        known, before = standing.get(task.key), former.get(task.id) or former.get(task.source)
        yield _step(task, known, before)
        if before and not known:
            replaced.add(before.key)
    for left in gone:
        if left.key not in replaced:
            yield Step(Change.REMOVED, left.id, left.key, f"was {left.state}", left.source)


def _step(task: PlannedTask, known: Standing | None, former: TaskRecord | None) -> Step:
    if known:
        why = " ".join(filter(None, (known.state.replace("_", " "), known.error_code)))
        return Step(_BY_STATE[known.state], task.id, task.key, why, task.source, task.content.form)
    if former:
        request: Mapping[str, Any] = json.loads(task.content.stored)
        fields = ", ".join(_different(former.request, request)) or "the number of replicas"
        return Step(
            Change.CHANGED,
            task.id,
            task.key,
            f"differs in {fields}; the old video is kept",
            task.source,
            task.content.form,
        )
    return Step(Change.NEW, task.id, task.key, "not in the ledger", task.source, task.content.form)


def _different(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterable[str]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _different(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}"
