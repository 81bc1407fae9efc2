"""Starts a run: checks the gateway, finds paid tasks, and queues tasks to submit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from batchrunner.clock import Clock
from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import AccountFault, Preflight
from batchrunner.core.policy import BACKOFF_CAP
from batchrunner.core.states import TaskState
from batchrunner.core.submission.suspects import OWN_WAIT_CAP, OWN_WAIT_LEAST
from batchrunner.engine.admission import Admission
from batchrunner.engine.adopter import Adopter
from batchrunner.engine.task_group import RunTaskGroup
from batchrunner.engine.worker import Worker
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger
from batchrunner.ledger.history import LOOKED_AT

PREFLIGHT_WAITS = (0.0, 5.0, 15.0, 30.0)
"""Nominal seconds before each try to reach the gateway."""
OUTAGE_WAITS = (60.0,) * 30
"""Further ones if something else answers in its place: an outage passes, a wrong address doesn't."""
FAULTS = {
    Preflight.WRONG_KEY: AccountFault.KEY,
    Preflight.WRONG_ADDRESS: AccountFault.ADDRESS,
    Preflight.UNREACHABLE: AccountFault.UNREACHABLE,
}
LONGEST_WAIT = max(BACKOFF_CAP, OWN_WAIT_LEAST + OWN_WAIT_CAP)
"""Maximum nominal seconds that a pending task has to wait."""
PUT_AT_ONCE = 1000
"""How many tasks to queue before yielding to other coroutines."""
FIRST_LOOK = 300.0
"""Maximum nominal seconds to collect paid tasks before the first POST."""


async def ask_first(
    gateway: Gateway,
    admission: Admission,
    clock: Clock,
    models: frozenset[str],
    notice: Callable[[str], None],
) -> bool:
    """Send one free request before anything else: is this the gateway, and does it accept this key?

    A model of the plan that it doesn't list is only worth a warning: lists may be wrong.
    """
    for number, wait in enumerate(PREFLIGHT_WAITS + OUTAGE_WAITS, start=1):
        await clock.sleep(wait)
        outcome = await gateway.preflight()
        if outcome.verdict is not Preflight.UNREACHABLE:
            break
        notice(f"{gateway.origin} can't be reached: {outcome.receipt.message}")
        if number >= len(PREFLIGHT_WAITS) and not outcome.receipt.status:
            break
    if outcome.verdict is Preflight.READY:
        if outcome.models and (unknown := models - outcome.models):
            notice(f"warning: the gateway doesn't list the model {', '.join(sorted(unknown))}")
            admission.try_alone(unknown)
        return True
    admission.refuse(FAULTS[outcome.verdict], outcome.receipt)
    admission.settle()
    return False


async def take_up(
    ledger: Ledger,
    worker: Worker,
    admission: Admission,
    group: RunTaskGroup,
    collect: Callable[[TaskKey], None],
    clock: Clock,
) -> None:
    """Poll and collect what earlier runs paid for, oldest first; return when all are polled and collected.

    It waits for collecting up to `FIRST_LOOK`. Links last only a day, and an answer shows that the key sees
    our tasks before more is paid for.
    """
    await collect_known(ledger, collect)
    generating = await ledger.tasks(TaskState.GENERATING)
    unanswered = {task.key for task in generating}
    all_answered = asyncio.Event()

    def answered(key: TaskKey) -> Callable[[], None]:
        def note() -> None:
            unanswered.discard(key)
            if not unanswered:
                all_answered.set()

        return note

    for task in sorted(generating, key=lambda task: task.accepted_at or 0.0):
        admission.occupy(task.key, kind_of(task.request))
        group.work(worker.resume, task, answered(task.key))
    if generating:
        await all_answered.wait()
    await group.collected(at_most=clock.real(FIRST_LOOK))


async def collect_known(ledger: Ledger, collect: Callable[[TaskKey], None], links_only: bool = False) -> None:
    """Collect what earlier runs saw finished, oldest first; with `links_only`, only what has a link."""
    for task in sorted(await ledger.tasks(TaskState.COLLECTING), key=lambda task: task.finished_at or 0.0):
        if task.result_url or not links_only:
            collect(task.key)


async def put_pending(
    ledger: Ledger,
    admission: Admission,
    clock: Clock,
    selected: frozenset[TaskKey] | None,
    kinds: Mapping[TaskKey, Kind],
) -> None:
    """Queue every selected pending task for submission; all pending tasks if `selected` is None.

    `kinds` has the kind of each if the first videos of each kind are to be awaited; otherwise it is empty.
    """
    pending = [
        (task._replace(shape=kinds[task.key].shape) if task.key in kinds else task, not_before)
        for task, not_before in await ledger.pending()
        if selected is None or task.key in selected
    ]
    if kinds:  # of all tasks, not of the pending ones alone: a kill or --limit must not end the watch
        admission.watch(kinds.values())
    for number, (task, not_before) in enumerate(pending, start=1):
        if number % PUT_AT_ONCE == 0:
            await asyncio.sleep(0)
        wait = (not_before - clock.wall()) / clock.scale if not_before else 0.0
        # A clock that was set back must not make a task wait longer than the maximum.
        admission.put(task, min(max(wait, 0.0), LONGEST_WAIT))


async def note_beginning(ledger: Ledger, adopter: Adopter, is_new: bool) -> None:
    """Read the key's used quota before anything is submitted with it.

    A new ledger (`is_new`) is complete since then, by the gateway's clock, which nobody here can change.
    """
    reading = await adopter.begin()
    if reading and is_new:
        await ledger.set_meta(LOOKED_AT, repr(reading.at))
