"""Starts a run: checks the gateway, finds paid tasks, and queues tasks to submit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from batchrunner.clock import Clock
from batchrunner.core.kinds import Kind
from batchrunner.core.model import AUTO, RunSettings, TaskKey
from batchrunner.core.outcome import AccountFault, Preflight
from batchrunner.core.policy import BACKOFF_CAP
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.submission.suspects import OWN_WAIT_CAP, OWN_WAIT_LEAST
from batchrunner.core.summary import Tally
from batchrunner.core.text import count
from batchrunner.engine.account import warn_of_balance
from batchrunner.engine.admission import Admission
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.job import Job
from batchrunner.engine.parts import Lane, Parts, follow
from batchrunner.gateway import Gateway
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.ledger.history import LOOKED_AT, states_by_account

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
LEFT_ALONE = (TaskState.GENERATING, TaskState.COLLECTING, TaskState.IN_DOUBT)
"""States of tasks for which the key of their account is needed."""
PUT_AT_ONCE = 1000
"""How many tasks to read and queue before other coroutines have their turn."""
FIRST_LOOK = 300.0
"""Maximum nominal seconds to collect paid tasks before the first POST."""


def beginning(job: Job, wanted: Tally, settings: RunSettings) -> str:
    """What a run is about to do, in words; `wanted` are the selected tasks by state."""
    if not job.submits:
        paid = count(sum(wanted[state] for state in PAID_FOR), "paid task")
        return f"{paid} to collect, gateway {job.gateway_name}; nothing is submitted"
    todo = count(wanted.total() - wanted[TaskState.DONE], "task")
    named = [
        given.concurrency if given.concurrency is not None else settings.concurrency for given in job.accounts
    ]
    limits = named or [settings.concurrency]
    at_once = "as many at once as the account runs" if AUTO in limits else f"{sum(limits)} at once"
    if len(named) > 1:
        together = f"{len(named)} accounts"
        at_once = f"as many at once as {together} run" if AUTO in limits else f"{at_once} with {together}"
    told = f"{todo} to do, {at_once}, gateway {job.gateway_name}"
    return f"{told}; Ctrl-C is safe: run the same command again to resume"


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


async def ask_all(parts: Parts, clock: Clock, notice: Callable[[str], None]) -> bool:
    """Ask with the key of every account; one that is refused is left out. Returns whether any can be used."""
    lanes = list(parts.lanes)
    asked = (
        ask_first(lane.gateway, lane.admission, clock, parts.models, _naming(lane.name, notice))
        for lane in lanes
    )
    answers = await asyncio.gather(*asked)
    for lane, answered in zip(lanes, answers, strict=True):
        if not answered:
            parts.lanes.leave_out(lane)
    return any(answers)


def _naming(account: str, notice: Callable[[str], None]) -> Callable[[str], None]:
    """The same, with the name of the account, if it has one."""
    return (lambda text: notice(f"account {account}: {text}")) if account else notice


async def name_left_alone(ledger: Ledger, given: Collection[str], notice: Callable[[str], None]) -> None:
    """Name the tasks of accounts that the command was not given: they wait for the key of their account."""
    by_account = await ledger.ask_history(partial(states_by_account, planned_only=False))
    for name, states in by_account.items():
        left = sum(states[state] for state in LEFT_ALONE)
        if not left or name in given:
            continue
        what = f"{count(left, 'task')} submitted with the account {name}"
        hint = "pass an accounts file that has it with --accounts, and run the same command again"
        if not name:
            what = f"{count(left, 'task')} submitted without --accounts"
            hint = (
                "write `default: true` for the account that has the same key, or collect them "
                "without --accounts"
            )
        notice(f"{what}: neither polled with another key nor submitted again; {hint}")


async def take_up(ledger: Ledger, parts: Parts, clock: Clock) -> None:
    """Poll and collect what earlier runs paid for, oldest first; return when all are polled and collected.

    It waits for collecting up to `FIRST_LOOK`. Links last only a day, and an answer shows that the key sees
    our tasks before more is paid for. Tasks whose account can't be used are left as they are.
    """
    for task in await _collecting(ledger):
        if parts.lanes.of(task):
            parts.collect(task.key)
        elif task.result_url:
            parts.collect_by_link(task.key)
    generating = await ledger.tasks(TaskState.GENERATING)
    unanswered = {task.key for task in generating if parts.lanes.of(task)}
    all_answered = asyncio.Event()

    def answered(key: TaskKey) -> Callable[[], None]:
        def note() -> None:
            unanswered.discard(key)
            if not unanswered:
                all_answered.set()

        return note

    for task in sorted(generating, key=lambda task: task.accepted_at or 0.0):
        follow(parts.lanes, parts.group, task, answered(task.key))
    if unanswered:
        await all_answered.wait()
    await parts.group.collected(at_most=clock.real(FIRST_LOOK))


async def collect_by_links(ledger: Ledger, collect: Callable[[TaskKey], None]) -> None:
    """Collect what earlier runs saw finished and what has a link, oldest first."""
    for task in await _collecting(ledger):
        if task.result_url:
            collect(task.key)


async def _collecting(ledger: Ledger) -> list[TaskRecord]:
    return sorted(await ledger.tasks(TaskState.COLLECTING), key=lambda task: task.finished_at or 0.0)


async def put_pending(
    ledger: Ledger,
    dispatch: Dispatch,
    clock: Clock,
    selected: frozenset[TaskKey] | None,
    kinds: Mapping[TaskKey, Kind],
) -> None:
    """Queue every selected pending task for submission; all pending tasks if `selected` is None.

    `kinds` has the kind of each if the first videos of each kind are to be awaited; otherwise it is empty.
    """
    if kinds:  # of all tasks, not of the pending ones alone: a kill or --limit must not end the watch
        dispatch.watch(await asyncio.to_thread(Counter, kinds.values()))
    last = -1
    while some := await ledger.pending(last, PUT_AT_ONCE):
        for task, not_before in some:
            if selected is not None and task.key not in selected:
                continue
            wait = (not_before - clock.wall()) / clock.scale if not_before else 0.0
            shaped = task._replace(shape=kinds[task.key].shape) if task.key in kinds else task
            # A clock that was set back must not make a task wait longer than the maximum.
            dispatch.put(shaped, min(max(wait, 0.0), LONGEST_WAIT))
        last = some[-1][0].position


async def note_beginning(ledger: Ledger, lanes: Iterable[Lane], is_new: bool) -> None:
    """Read the used quota of each key before anything is submitted with it.

    A new ledger (`is_new`) is complete since then, by the gateway's clock, which nobody here can change.
    """
    readings = [await lane.adopter.begin() for lane in lanes]
    known = [reading.at for reading in readings if reading]
    if is_new and len(known) == len(readings):
        await ledger.set_meta(LOOKED_AT, repr(min(known)))


async def look_at_money(
    lanes: Iterable[Lane],
    ledger: Ledger,
    submits: bool,
    selected: frozenset[TaskKey] | None,
    notice: Callable[[str], None],
) -> None:
    """Ask for the unit of money; if tasks are to be submitted, warn of balances that are too small."""
    accounts = [lane.account for lane in lanes]
    for account in accounts:
        await account.look(ledger)
    if submits:
        await warn_of_balance(ledger, accounts, selected, notice)


async def submit_all(parts: Parts) -> None:
    """Submit with all accounts, as long as each of them admits tasks."""

    async def submit(lane: Lane) -> None:
        while permit := await lane.admission.next():
            parts.group.work(lane.worker.submit, permit)

    for lane in parts.lanes:  # before the first of them decides
        lane.admission.is_asking = True
    await asyncio.gather(*map(submit, parts.lanes))
