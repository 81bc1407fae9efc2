"""What the accounts of a run have in common: the tasks that wait, the gates of the run, and how it ends.

A run has an admission for each of its accounts. With a single one, nobody else is ever asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from batchrunner.clock import Clock
from batchrunner.core.errors import most_urgent
from batchrunner.core.kinds import Kind
from batchrunner.core.submission.backlog import Backlog, Waiting
from batchrunner.core.submission.chains import ChainGate
from batchrunner.core.submission.decision import Stop
from batchrunner.core.submission.hours import Hours
from batchrunner.core.submission.run_gates import RunGates
from batchrunner.engine.shared_account import IDLE_LIMIT, Member


class Dispatch:
    """The submissions of one run, whichever account they are made with."""

    def __init__(
        self,
        clock: Clock,
        awaiting: Callable[[], str] = lambda: "",
        failures: float | None = None,
        ended: Callable[[], tuple[int, int]] = lambda: (0, 0),
        hours: Hours | None = None,
        chains: ChainGate | None = None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`awaiting` says what may yet bring tasks to submit, if anything.

        `failures` is the budget's; `ended` returns how many tasks have failed and succeeded.
        """
        self.clock, self.hours, self.backlog = clock, hours or Hours(), Backlog(chains)
        self.awaiting, self.ended, self.notice = awaiting, ended, notice
        self.gates = RunGates(failures, self.hours)
        self.lanes: list[Member] = []
        """Its admissions, one for each account."""
        self.closing = False
        """No more POSTs may be sent, not even for permits already issued."""
        self.held_for = ""
        """Why nothing is submitted before something else has been looked at; empty if that is done."""
        self._given_up: Stop | None = None
        self._changed = asyncio.Event()

    @property
    def slots(self) -> int:
        """Slots in use, on all accounts."""
        return sum(lane.slots for lane in self.lanes)

    @property
    def most_slots(self) -> int:
        """How many slots may be used now, as far as the capacity of the accounts is known."""
        return sum(lane.most_slots for lane in self.lanes if lane.stop is None)

    @property
    def in_the_air(self) -> int:
        """Submissions that may have been sent and have no outcome yet."""
        return sum(lane.in_the_air for lane in self.lanes)

    @property
    def waiting_for(self) -> str:
        """Why nothing is submitted at the moment, with any account; empty while submission goes on."""
        if self.held_for:
            return self.held_for
        reasons = {lane.name: lane.waiting_for for lane in self.lanes if lane.is_asking}
        if not all(reasons.values()):
            return ""
        if len(set(reasons.values())) == 1:
            return next(iter(reasons.values()))
        return "; ".join(f"account {name}: {why}" for name, why in reasons.items())

    @property
    def stop(self) -> Stop | None:
        """What stopped submission for good, with all accounts or with some."""
        stops = [lane.stop for lane in self.lanes if lane.stop]
        if self._given_up and len(stops) < len(self.lanes):
            return self._given_up
        if not stops:
            return None
        code = most_urgent(stop.exit_code for stop in stops)
        worst = next(stop for stop in stops if stop.exit_code == code)
        return worst if len(stops) == len(self.lanes) else replace(worst, is_partial=True)

    def put(self, task: Waiting, delay: float = 0.0) -> None:
        """Queue a task for submission, in `delay` nominal seconds at the earliest."""
        self.backlog.put(task, self.clock.now() + delay if delay else 0.0)
        self.wake()

    def look_again(self) -> None:
        """Decide again: the doubts, what is expected from them, or the canaries may have changed."""
        self.tell()
        self.wake()

    def watch(self, planned: Mapping[Kind, int]) -> None:
        """Await the first videos of each kind of which the plan has many tasks."""
        self.gates.canaries.watch(planned)
        self.tell()

    def give_up(self, stop: Stop) -> None:
        """Stop submission for this run; what is paid for is polled and collected."""
        self._given_up = stop
        self.close()

    def close(self) -> None:
        """Admit no more submissions; `next` of every admission returns None."""
        self.closing = True
        self.wake()

    def allow(self, concurrency: int | None, submit_rate: float) -> None:
        """Change the limits of each account; None leaves the concurrency as it is."""
        for lane in self.lanes:
            lane.allow(lane.settings.concurrency if concurrency is None else concurrency, submit_rate)

    async def drained(self) -> None:
        """Wait until all slots are free, and no look-up can take another."""
        while self.slots or (self.awaiting() and not self.closing):
            self._changed.clear()
            await self._changed.wait()

    def leave(self) -> None:
        """The run has ended: others have the accounts to themselves."""
        for lane in self.lanes:
            lane.leave()

    def wake(self) -> None:
        """Something has changed: decide again, with every account."""
        self._changed.set()
        for lane in self.lanes:
            lane.stir()

    def tell(self) -> None:
        """Show what was found out and has not been told yet."""
        for lane in self.lanes:
            if news := lane.capacity.news():
                self.notice(f"account {lane.name}: {news}" if len(self.lanes) > 1 else news)
        for news in self.gates.canaries.news():
            self.notice(news)

    def is_idle(self, now: float) -> bool:
        """Whether nothing is in flight on any account, and nothing was accepted for an hour."""
        return all(lane.account.is_idle(now) for lane in self.lanes)

    @property
    def idle_from(self) -> float | None:
        """From when on it is idle, if nothing is accepted until then; None while anything is in flight."""
        if any(lane.account.slots for lane in self.lanes):
            return None
        return max(lane.account.last_accepted for lane in self.lanes) + IDLE_LIMIT

    def used_besides(self, lane: Member) -> int:
        """Slots in use by all runs on the other accounts."""
        return sum(other.account.slots for other in self.lanes if other is not lane)

    def goes_on_without(self, lane: Member) -> bool:
        """Whether another account still submits."""
        return any(other.stop is None for other in self.lanes if other is not lane)
