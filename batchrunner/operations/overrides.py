"""A person's word: failed tasks to be tried again, submissions in doubt decided. Never the program's own."""

from __future__ import annotations

import re

from batchrunner.core.errors import UsageError
from batchrunner.core.links import LINKS_LIVE
from batchrunner.core.model import RemoteId
from batchrunner.core.policy import DECLARED_LOST, RETRIED, adopted
from batchrunner.core.states import TaskState
from batchrunner.ledger import Ledger, LedgerReader, TaskRecord

REMOTE_ID = re.compile(r"task_[A-Za-z0-9_-]{4,100}")


async def chosen(
    ledger: LedgerReader, names: list[str], states: frozenset[TaskState], everything: bool
) -> list[TaskRecord]:
    """The tasks in these states that a person named, by id, fingerprint or remote id; or all of them.

    Raises:
        UsageError: a name fits no task, or several, or one in another state; nothing was changed.
    """
    if everything:
        return await ledger.tasks(*states)
    tasks = []
    for name in names:
        found = await ledger.find(name)
        if not found:
            raise UsageError(
                f"no task is called {name}", "`batchrunner status DIR` lists what needs a person"
            )
        if len(found) > 1:
            keys = ", ".join(task.key[2:14] for task in found)
            raise UsageError(f"{name} fits {len(found)} tasks", f"name one by its fingerprint: {keys}")
        if found[0].state not in states:
            hint = f"`batchrunner status DIR {name}` tells its story"
            if found[0].state is TaskState.DONE and TaskState.FAILED in states:
                hint = f"`batchrunner retry DIR {name} --again` makes a further version of a finished video"
            raise UsageError(f"{name} is {found[0].state}, not {' or '.join(sorted(states))}", hint)
        tasks.append(found[0])
    return tasks


async def retry(ledger: Ledger, tasks: list[TaskRecord]) -> None:
    """Make failed tasks pending; the next run submits them."""
    for task in tasks:
        await ledger.move(task.key, RETRIED)


async def want_again(ledger: Ledger, tasks: list[TaskRecord], on_disk: frozenset[str], now: float) -> None:
    """Make a further version of each of these videos, with a new seed; the next run submits them.

    The old files stay, and so does what they cost. `on_disk` are the names that no file may take.

    Raises:
        UsageError: one can still be fetched, which is free; nothing was changed.
    """
    for task in tasks:
        lives = now - (task.finished_at or 0.0) < LINKS_LIVE and not task.links_dead
        if task.state is TaskState.UNCOLLECTED and lives:
            raise UsageError(
                f"{task.id} is paid for and not collected yet, and its links still live",
                "`batchrunner collect DIR` fetches it, free of charge",
            )
    for task in tasks:
        await ledger.want_again(task.key, on_disk)


async def declare_lost(ledger: Ledger, tasks: list[TaskRecord]) -> None:
    """Submissions in doubt were not accepted: their tasks are pending, and are submitted again.

    If they were accepted after all, they are paid for twice: that is why a person must say it.
    """
    for task in tasks:
        await ledger.move(task.key, DECLARED_LOST)


async def adopt(ledger: Ledger, task: TaskRecord, remote_id: str) -> None:
    """A submission in doubt was accepted under this remote id: the next run polls it.

    Raises:
        UsageError: the id belongs to another attempt, or is none.
    """
    if not REMOTE_ID.fullmatch(remote_id):
        raise UsageError(
            f"{remote_id!r} is not a remote id", "it looks like task_jEctEHDF1vefS2L3HND2JnzXPslnAYby"
        )
    if remote_id in await ledger.remote_ids():
        raise UsageError(f"{remote_id} is the id of another attempt", "look at `batchrunner status DIR`")
    await ledger.move(task.key, adopted(RemoteId(remote_id), task.submitted_at, named=True))
