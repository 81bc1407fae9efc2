"""Lets tasks that need what others make go once it is done, and records why the others wait."""

from __future__ import annotations

from collections import Counter

from batchrunner.clock import Clock
from batchrunner.core.model import Plan, TaskKey
from batchrunner.core.needs_unmet import NEED_FAILED, unmet
from batchrunner.core.states import TaskState
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.chains import ChainGate
from batchrunner.engine.dispatch import Dispatch
from batchrunner.ledger import Ledger, LedgerEvent, LedgerReader
from batchrunner.ledger.history import names_of_tasks, needing


class Chains:
    """Connects the gate for tasks that need others with the ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, dispatch: Dispatch, gate: ChainGate) -> None:
        self._ledger, self._clock, self._dispatch, self._gate = ledger, clock, dispatch, gate

    async def begin(self) -> None:
        """Learn from the ledger what is done already."""
        if self._gate.needs:
            standing = await self._ledger.standing()
            for task, not_before in self._gate.begin({key: one.state for key, one in standing.items()}):
                self._put(task, not_before)

    def observe(self, event: LedgerEvent) -> None:
        """A task that is done lets those that need it go; one that failed may leave nothing to wait for."""
        if self._gate.is_needed(event.key):
            for task, not_before in self._gate.moved(event.key, event.to_state):
                self._put(task, not_before)
            self._dispatch.look_again()

    def _put(self, task: Waiting, not_before: float) -> None:
        self._dispatch.put(task, max(0.0, not_before - self._clock.now()))


async def blocked_among(ledger: LedgerReader, plan: Plan, selected: frozenset[TaskKey]) -> Counter[str]:
    """Why selected tasks are pending and can't go on: what they need has failed, or is not selected."""
    if not (needs := plan.tasks.needs()):
        return Counter()
    states = {key: one.state for key, one in (await ledger.standing()).items()}
    names = await ledger.ask_history(names_of_tasks)
    waiting = unmet(needs, states, lambda key: names[key], selected)
    return Counter(one.message for one in waiting if one.code == NEED_FAILED and one.key in selected)


async def note_why_waiting(ledger: Ledger, plan: Plan | None) -> None:
    """Record for each pending task what it waits for, if what it needs of others isn't done.

    Without a plan, where a run only collects, it is what the ledger has of the latest one.
    """
    if needs := plan.tasks.needs() if plan else await ledger.ask_history(needing):
        states = {key: one.state for key, one in (await ledger.standing()).items()}
        pending = {key: each for key, each in needs.items() if states.get(key) is TaskState.PENDING}
        names = await ledger.ask_history(names_of_tasks)
        await ledger.note_unmet(list(unmet(pending, states, lambda key: names[key])))
