"""User decisions: retry failed tasks, settle submissions in doubt. The program never takes them itself."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from batchrunner.core.errors import UsageError
from batchrunner.core.forecast import Estimates, Forecast, forecast
from batchrunner.core.links import LINKS_LIVE
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.needs_unmet import NEED_FAILED, NEED_IN_DOUBT, unmet
from batchrunner.core.policy import DECLARED_LOST, RETRIED, adopted
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.text import command
from batchrunner.ledger import Ledger, LedgerReader, TaskRecord
from batchrunner.ledger.history import needing
from batchrunner.ledger.overruns import overruns
from batchrunner.manifest import load_limits

MOST_NAMED = 5
WANTED_AGAIN = frozenset({TaskState.DONE, TaskState.UNCOLLECTED})
"""States from which a task can be made again."""
REMOTE_ID = re.compile(r"task_[A-Za-z0-9_-]{4,100}")


async def chosen(
    ledger: LedgerReader,
    names: list[str],
    states: frozenset[TaskState],
    everything: bool,
    or_pending: bool = False,
) -> list[TaskRecord]:
    """The tasks in these states with the given IDs, fingerprints or remote IDs, each once; or all of them.

    With `or_pending`, those that are named may also be pending already.

    Raises:
        UsageError: a name matches no task, several, or one in another state; nothing was changed.
    """
    if everything:
        return await ledger.tasks(*states)
    tasks: dict[TaskKey, TaskRecord] = {}
    fitting = states | {TaskState.PENDING} if or_pending else states
    for name in names:
        found = await ledger.find(name)
        if not found:
            raise UsageError(f"no such task: {name}", "results.csv lists the IDs of all tasks")
        found = _meant(found, fitting)
        if len(found) > 1:
            raise UsageError(f"{name} matches {len(found)} tasks", which_of(found))
        if found[0].state not in fitting:
            hint = f"`{command('status', ledger.directory, name)}` shows its history"
            if found[0].state is TaskState.DONE and TaskState.FAILED in states:
                again = command("retry", ledger.directory, name, "--again")
                hint = f"`{again}` makes a new version, and pays again"
            state = found[0].state.replace("_", " ")
            wanted = " or ".join(sorted(states)).replace("_", " ")
            raise UsageError(f"{name} is {state}, not {wanted}", hint)
        tasks[found[0].key] = found[0]
    return list(tasks.values())


def _meant(found: list[TaskRecord], states: frozenset[TaskState]) -> list[TaskRecord]:
    """Of tasks with one ID, as after an edit: the one that is in these states, the planned one first."""
    if len({task.id for task in found}) > 1:
        return found
    fitting = [task for task in found if task.state in states]
    planned = [task for task in fitting if task.position is not None]
    return next((few for few in (planned, fitting) if len(few) == 1), found)


def which_of(found: Sequence[TaskRecord]) -> str:
    """How to name one of several tasks, as a hint."""
    if len({task.id for task in found}) == 1:
        gone = " (no longer in the manifest)"
        named = (f"{task.key[2:14]}{'' if task.position is not None else gone}" for task in found)
        return f"use a fingerprint: {', '.join(named)}"
    more = ", …" if len(found) > MOST_NAMED else ""
    return f"use more of the ID: {', '.join(task.id for task in found[:MOST_NAMED])}{more}"


async def retry(ledger: Ledger, tasks: list[TaskRecord]) -> None:
    """Reset failed tasks to pending; the next run submits them."""
    await ledger.move_all([(task.key, RETRIED) for task in tasks])
    await ledger.note_unmet(())  # what needed them no longer waits for a person


async def want_again(ledger: Ledger, tasks: list[TaskRecord], on_disk: frozenset[str], now: float) -> None:
    """Request a new version of each of these videos, with a new seed; the next run submits them.

    The old files and their costs are kept. `on_disk` lists file names that are taken.

    Raises:
        UsageError: a video can still be downloaded for free; nothing was changed.
    """
    for task in tasks:
        if can_be_downloaded(task, now):
            raise UsageError(
                f"{task.id} is paid for but not collected yet, and its links are still valid",
                f"`{command('collect', ledger.directory)}` downloads it, free of charge",
            )
    await ledger.want_again([task.key for task in tasks], on_disk)
    await ledger.note_unmet(())  # what needs one that was not collected no longer waits for a person


async def made_from(ledger: LedgerReader, tasks: Collection[TaskRecord]) -> list[TaskRecord]:
    """The planned tasks whose videos are, or are being, made from those of these tasks, in plan order."""
    followers: dict[TaskKey, list[TaskKey]] = defaultdict(list)
    for key, needs in (await ledger.ask_history(needing)).items():
        for need in needs:
            followers[need].append(key)
    found: set[TaskKey] = set()
    left = [task.key for task in tasks]
    while left:
        fresh = [key for key in followers[left.pop()] if key not in found]
        found.update(fresh)
        left += fresh
    records = [await ledger.task(key) for key in found - {task.key for task in tasks}]
    made = WANTED_AGAIN | PAID_FOR | {TaskState.SUBMITTING, TaskState.IN_DOUBT}
    return sorted((one for one in records if one.state in made), key=lambda one: one.position or 0)


async def waiting_for(ledger: LedgerReader, tasks: Collection[TaskRecord]) -> list[TaskRecord]:
    """The tasks that will be submitted, too, if these are made pending, in plan order.

    They wait, directly or through others, for one of these, which failed, is in doubt or was not collected.
    """
    needs = await ledger.ask_history(needing)
    if not needs or not tasks:
        return []
    states = {key: one.state for key, one in (await ledger.standing()).items()}
    after = states | {task.key: TaskState.PENDING for task in tasks}
    freed = _waiting(needs, states) - _waiting(needs, after)
    return sorted([await ledger.task(key) for key in freed], key=lambda one: one.position or 0)


def _waiting(
    needs: Mapping[TaskKey, Collection[TaskKey]], states: Mapping[TaskKey, TaskState]
) -> set[TaskKey]:
    """The pending tasks that wait for a person."""
    return {one.key for one in unmet(needs, states, str) if one.code in (NEED_FAILED, NEED_IN_DOUBT)}


async def forecast_of(ledger: LedgerReader, tasks: Collection[TaskRecord]) -> Forecast:
    """What these pending tasks need, at the prices that the manifest had at the last run."""
    binding = await ledger.binding()
    requests = await ledger.pending_requests(frozenset(task.key for task in tasks))
    estimates = Estimates(load_limits(binding.models), binding.pricing, await ledger.ask_history(overruns))
    return forecast([(json.loads(text), n) for text, n in requests.items()], estimates)


def can_be_downloaded(task: TaskRecord, now: float) -> bool:
    """Whether a video that is not collected yet can still be, free of charge; `now` in Unix seconds."""
    lives = now - (task.finished_at or 0.0) < LINKS_LIVE and not task.links_dead
    return task.state is TaskState.UNCOLLECTED and lives


async def declare_lost(ledger: Ledger, tasks: list[TaskRecord]) -> None:
    """Record that submissions in doubt were not accepted: their tasks are pending, and are submitted again.

    If they were accepted after all, they are paid for twice: that is why the user must decide.
    """
    await ledger.move_all([(task.key, DECLARED_LOST) for task in tasks])


async def adopt(ledger: Ledger, task: TaskRecord, remote_id: str) -> None:
    """Record that a submission in doubt was accepted under this remote ID: the next run polls it.

    Raises:
        UsageError: the ID belongs to another attempt, or is not a remote ID.
    """
    if not REMOTE_ID.fullmatch(remote_id):
        raise UsageError(
            f"{remote_id!r} is not a remote ID", "remote IDs look like task_jEctEHDF1vefS2L3HND2JnzXPslnAYby"
        )
    if remote_id in await ledger.remote_ids():
        raise UsageError(
            f"{remote_id} belongs to another attempt",
            f"`{command('status', ledger.directory, remote_id)}` shows its task",
        )
    await ledger.move(task.key, adopted(RemoteId(remote_id), task.submitted_at, named=True))
