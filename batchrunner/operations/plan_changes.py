"""Compares a plan with the ledger: what a run would do, and why. Changes neither."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from types import MappingProxyType
from typing import Any, TypeVar

from batchrunner.core.content import RequestForm
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.needs import needs_in, with_lengths
from batchrunner.core.needs_unmet import NEED_FAILED, Unmet, unmet
from batchrunner.core.plan import is_made_up
from batchrunner.core.planned_tasks import PlannedTasks
from batchrunner.core.replicas import recognised
from batchrunner.core.states import TaskState
from batchrunner.core.task_outputs import outputs_in
from batchrunner.ledger import LedgerReader, Standing, TaskRecord, paid_tasks

T = TypeVar("T")


class Change(StrEnum):
    """What a run would do with a task."""

    NEW = "new"
    """Submit: the ledger doesn't know it."""
    CHANGED = "changed"
    """Submit: its ID, or its place in the manifest, belonged to another request."""
    PENDING = "pending"
    """Submit: an earlier run did not reach it, or the user asked to retry it."""
    BLOCKED = "blocked"
    """Do nothing until what it needs was retried: that has failed, or was not collected."""
    UNDER_WAY = "under way"
    """Poll and collect what is paid for."""
    DONE = "done"
    """Do nothing."""
    FAILED = "failed"
    """Do nothing until the user retries it."""
    IN_DOUBT = "in doubt"
    """Do nothing until it is known whether it was accepted."""
    REMOVED = "removed"
    """No longer in the manifest; what was paid for is kept."""


SUBMITTED = frozenset({Change.NEW, Change.CHANGED, Change.PENDING})
WAITS_FOR_USER = frozenset({Change.BLOCKED, Change.FAILED, Change.IN_DOUBT})

_BY_STATE = {
    TaskState.PENDING: Change.PENDING,
    TaskState.SUBMITTING: Change.IN_DOUBT,
    TaskState.IN_DOUBT: Change.IN_DOUBT,
    TaskState.GENERATING: Change.UNDER_WAY,
    TaskState.COLLECTING: Change.UNDER_WAY,
    TaskState.UNCOLLECTED: Change.UNDER_WAY,
    TaskState.DONE: Change.DONE,
    TaskState.FAILED: Change.FAILED,
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
    reasons: tuple[str, ...] = ()
    """Why, in words that tasks have in common: the fields that differ, an error code, a state."""
    is_paid: bool = False
    """Whether it is a changed task whose old version is paid for, or may be."""
    follows: bool = False
    """Whether only what it needs of other tasks has changed."""

    @property
    def values(self) -> dict[str, object]:
        """What `plan --json` shows."""
        return {
            "change": self.change.value,
            "id": self.id,
            "key": self.key,
            "why": self.why,
            "source": self.source,
            "old_version_paid": self.is_paid,
        }


async def recognise(tasks: PlannedTasks, ledger: LedgerReader) -> None:
    """Give the replicas in a plan the keys that they have in the ledger."""
    others_follow = True
    while others_follow:  # with its key, a task changes those of the tasks that need it
        others_follow, repeated = False, tasks.repeated()
        if known := await ledger.known(repeated):
            group = tasks.of_requests(repeated | {one.first for one in known})
            others_follow = tasks.assign(recognised(group, known))


async def compared(
    tasks: PlannedTasks, ledger: LedgerReader, selected: Container[TaskKey] | None = None
) -> Iterator[Step]:
    """What a run would do with the tasks of a plan and with those in its ledger; see `compare`."""
    await recognise(tasks, ledger)
    standing = await ledger.standing()
    left = [key for key, task in standing.items() if task.is_planned and tasks.find(key) is None]
    paid = await ledger.ask_history(paid_tasks) if left else frozenset()
    waiting = blocked_tasks(tasks, standing, selected)
    return compare(tasks, standing, [await ledger.task(key) for key in left], paid, waiting)


def blocked_tasks(
    tasks: PlannedTasks, standing: Mapping[TaskKey, Standing], selected: Container[TaskKey] | None
) -> dict[TaskKey, Unmet]:
    """The tasks that a run of those in `selected`, None for all, would not submit; see `blocked`."""

    def name(key: TaskKey) -> str:
        task = tasks.find(key)
        return task.id if task else key

    needs = tasks.needs()
    states = {key: one.state for key, one in standing.items()} if needs else {}
    return {one.key: one for one in unmet(needs, states, name, selected) if one.code == NEED_FAILED}


def with_known_lengths(steps: Iterable[Step], lengths: Mapping[TaskKey, int]) -> Iterator[Step]:
    """The steps, with requests that say how long needed videos came out; see `needs.with_lengths`."""
    forms: dict[int, tuple[RequestForm, RequestForm]] = {}
    for step in steps:
        if step.form is None:
            yield step
            continue
        if id(step.form) not in forms:
            forms[id(step.form)] = (
                step.form,
                RequestForm(with_lengths(step.form.request(None, None), lengths)),
            )
        yield replace(step, form=forms[id(step.form)][1])


def ids_of_needs(tasks: PlannedTasks, needs: Mapping[TaskKey, Collection[TaskKey]]) -> dict[str, list[str]]:
    """The IDs of the tasks that each one in `needs` needs, in plan order, by fingerprint."""
    keys = frozenset(chain.from_iterable(needs.values()))
    places = {key: (task.position, task.id) for key in keys if (task := tasks.find(key))}
    return {key: [name for _, name in sorted(map(places.__getitem__, each))] for key, each in needs.items()}


def compare(
    tasks: Iterable[PlannedTask],
    standing: Mapping[TaskKey, Standing],
    gone: Sequence[TaskRecord],
    paid: Container[TaskKey] = frozenset(),
    waiting: Mapping[TaskKey, Unmet] = MappingProxyType({}),
) -> Iterator[Step]:
    """A step for every task of the plan, in order, then one for each task no longer in it.

    `standing` is where the ledger's tasks stand; `gone` are those that have just left the plan. `paid` are
    those of the ledger that are paid for, or may be; `waiting` those that need one that failed.
    """
    former = formerly((task.id, task.source, task) for task in gone)
    replaced = set()
    for task in tasks:
        known, before = standing.get(task.key), former(task)
        if before and not known:
            replaced.add(before.key)
        if task.key in waiting:
            yield _waits(task, waiting[task.key].message)
        elif known:
            yield _known(task, known)
        elif before:
            yield _changed(task, before, before.key in paid)
        else:
            form = task.content.form
            yield Step(Change.NEW, task.id, task.key, "not in the ledger", task.source, form)
    for left in gone:
        if left.key not in replaced:
            was = f"was {_words(left.state)}"
            yield Step(Change.REMOVED, left.id, left.key, was, left.source, reasons=(was,))


def formerly(gone: Iterable[tuple[str, str, T]]) -> Callable[[PlannedTask], T | None]:
    """Finds what had a task's ID among (ID, place, value) of tasks that left the plan.

    A generated ID changes with the request: its task is the one that had its place.
    """
    by_id: dict[str, T] = {}
    by_place: dict[str, T] = {}
    for task_id, source, value in gone:
        by_id[task_id], by_place[source] = value, value

    def former(task: PlannedTask) -> T | None:
        place = by_place.get(task.source) if is_made_up(task.id, task.key) else None
        return by_id.get(task.id) or place

    return former


def _known(task: PlannedTask, known: Standing) -> Step:
    change, state = _BY_STATE[known.state], _words(known.state)
    why = " ".join(filter(None, (state, known.error_code)))
    reason = known.error_code if change in (Change.FAILED, Change.IN_DOUBT, Change.PENDING) else state
    form = task.content.form
    return Step(change, task.id, task.key, why, task.source, form, tuple(filter(None, (reason,))))


def _waits(task: PlannedTask, why: str) -> Step:
    return Step(Change.BLOCKED, task.id, task.key, why, task.source, task.content.form, (why,))


def _changed(task: PlannedTask, former: TaskRecord, is_paid: bool) -> Step:
    request: Mapping[str, Any] = json.loads(task.content.stored)
    own = [*_different(_without_needs(former.request), _without_needs(request))]
    before = {need.task for need in needs_in(former.request)}
    needed = [output.shown for _, output in outputs_in(task.request) if output.task not in before]
    fields = [*own, *needed] or ["the number of replicas"]
    why = f"differs in {', '.join(fields)}; the old video is kept"
    follows = bool(needed) and not own
    reasons = (*own, "what it needs") if needed else tuple(fields)
    form = task.content.form
    return Step(Change.CHANGED, task.id, task.key, why, task.source, form, reasons, is_paid, follows)


def follows(task: PlannedTask, former: str) -> bool:
    """Whether a task differs from its former request, JSON, only in what it needs of other tasks."""
    now = json.loads(task.content.stored) if former else {}
    return bool(former) and not [*_different(_without_needs(json.loads(former)), _without_needs(now))]


def _without_needs(value: Any) -> Any:
    """A request in which every other task that it needs is the same."""
    if isinstance(value, dict):
        is_need = value.keys() == {"task", "part"}
        return value["part"] if is_need else {name: _without_needs(item) for name, item in value.items()}
    return [_without_needs(item) for item in value] if isinstance(value, list) else value


def _words(state: TaskState) -> str:
    return state.replace("_", " ")


def _different(before: Mapping[str, Any], after: Mapping[str, Any], path: str = "") -> Iterable[str]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _different(old, new, f"{path}{name}.")
        elif old != new:
            yield f"{path}{name}"
