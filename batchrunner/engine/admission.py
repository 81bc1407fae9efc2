"""Admits submissions: checks slots, rate, disk and breaker before every POST."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from batchrunner.clock import Clock
from batchrunner.core.budget import UsedUp
from batchrunner.core.errors import ExitCode
from batchrunner.core.kinds import Kind
from batchrunner.core.model import RunSettings, TaskKey
from batchrunner.core.outcome import Accepted, AccountFault, InProgress, NotAdmitted, Receipt, SubmitOutcome
from batchrunner.core.submission.backlog import Permit
from batchrunner.core.submission.decision import Go, Hold, Situation, Stop
from batchrunner.core.submission.suspects import Judgement
from batchrunner.engine.disk_room import Disk
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.shared_account import Member, SharedAccount


class Admission(Member):
    """Admits a run's submissions with one account, one by one. Workers report what became of them."""

    def __init__(
        self,
        clock: Clock,
        settings: RunSettings,
        disk: Disk,
        in_doubt: Callable[[], int],
        gateway_answers: Callable[[], Awaitable[bool]],
        account: SharedAccount | None = None,
        run: Dispatch | None = None,
        name: str = "",
        price: float = 1.0,
    ) -> None:
        """`account` is shared with other runs, and `run` with the run's other accounts, if there are any."""
        self.run = run or Dispatch(clock)
        super().__init__(account or SharedAccount(), settings, clock, in_doubt, self.run.gates, name, price)
        self._disk, self._gateway_answers = disk, gateway_answers
        self._backlog, self.canaries = self.run.backlog, self.run.gates.canaries
        self._last_refusal = ""
        self.run.lanes.append(self)

    @property
    def is_shut(self) -> bool:
        """Whether no POST may be sent now, not even for permits already issued."""
        return self.run.closing or not self.run.hours.is_open(self._clock.now(), self._clock.wall())

    @property
    def is_crowded(self) -> bool:
        """Whether an adopted doubt has taken a slot, so that a permit issued before is one too many."""
        return self.account.slots > self._breaker.most_in_flight or self.slots > self.settings.most_in_flight

    def occupy(self, key: TaskKey, kind: Kind) -> None:
        """Take a slot for a generation of an earlier run that is in flight."""
        self.slots += 1
        self.canaries.out(key, kind)

    def wake(self) -> None:
        """Decide again, with all accounts of the run: what one of them can't take, another one may."""
        self.run.wake()

    async def next(self) -> Permit | None:
        """Wait for the next submission that may be sent; None if there will be no more in this run."""
        self.is_asking = True
        while True:
            self._changed.clear()
            decision = self._decide()
            self.has_decided()
            if decision is None or isinstance(decision, Stop):
                self._end(decision)
                return None
            if isinstance(decision, Hold):
                self.waiting_for = decision.why
                await self._wait(decision.until)
            elif await self._may_probe(decision):
                self.waiting_for = ""
                return decision

    def try_alone(self, models: frozenset[str]) -> None:
        """The gateway doesn't list these models: send one submission of each and wait for its answer."""
        self._breaker.try_alone(models)

    def judge(self, permit: Permit, outcome: SubmitOutcome) -> Judgement:
        """Judge whether a refusal is the task's own problem; call once per outcome, before `record`."""
        suspects = self.account.gates.suspects
        if isinstance(outcome, NotAdmitted):
            return suspects.refused(permit.task, outcome, _chance())
        if isinstance(outcome, Accepted):
            suspects.accepted(permit.task)
        return Judgement()

    def record(self, permit: Permit, outcome: SubmitOutcome, spares_others: bool = False) -> None:
        """Record the outcome of a submission; it keeps its slot only if it was accepted.

        `spares_others` says that the refusal is known to concern only this task.
        """
        self.in_the_air -= 1
        if isinstance(outcome, Accepted):
            self.account.last_accepted = self._clock.now()
        else:
            self.slots -= 1
            self._last_refusal = outcome.receipt.message or outcome.receipt.code
            self.account.budget_freed()
        if not spares_others:
            at = self._situation(without=isinstance(outcome, Accepted))
            self._breaker.record(outcome, permit.task, at, permit.probe)
        else:
            self._breaker.withdrawn(permit.task, permit.probe)
        self.account.wake()

    def withdraw(self, permit: Permit) -> None:
        """The submission was not sent after all."""
        self.in_the_air -= 1
        self.slots -= 1
        self._breaker.withdrawn(permit.task, permit.probe)
        self.account.wake()

    def used_up(self, permit: Permit, budget: UsedUp) -> None:
        """The budget has no room for the task: it waits, and the submission was not sent."""
        self._breaker.used_up(budget)
        self._backlog.put(permit.task)
        self.withdraw(permit)

    def saw(self, key: TaskKey, answer: InProgress) -> None:
        """Record where a poll showed a task to be."""
        now, before = self._clock.now(), self._breaker.most_in_flight
        self.capacity.saw((self._number, key), answer, now)
        self._breaker.look_again(now)
        if self._breaker.most_in_flight != before:  # most polls, of which there are many, decide nothing
            self.account.wake()

    def free_slot(self, key: TaskKey, settled: bool) -> None:
        """Free a generation's slot; `settled` if it has ended and its hold was settled."""
        self.slots -= 1
        self.account.last_accepted = self._clock.now()
        self.capacity.left((self._number, key), self._clock.now(), settled)
        self._breaker.look_again(self._clock.now())
        self.run.tell()
        if settled:
            self._breaker.generation_ended()
            self.account.budget_freed()
        self.account.wake()

    def refuse(self, fault: AccountFault, receipt: Receipt) -> None:
        """A query showed that the key or the address is refused."""
        self._breaker.refuse(fault, receipt)
        self.account.wake()

    def settle(self) -> None:
        """Record why submission is stopped when `next` won't be called."""
        decision = self._breaker.decide(self._situation())
        if isinstance(decision, Stop):
            self._stopped(decision)

    def could_submit(self) -> bool:
        """Whether a submission could be sent now, were it this run's turn."""
        now = self._clock.now()
        return not self.run.closing and isinstance(self._checked(now), Go) and not self._leaves_it(now)

    def could_take(self, now: float) -> bool:
        """Whether this account has room for a task, even if its rate lets it go only in a moment."""
        return self.is_asking and not self.run.closing and isinstance(self._checked(now, paced=False), Go)

    def _leaves_it(self, now: float) -> bool:
        """Whether an account of this run with a lower price can take the task."""
        return any(lane.price < self.price and lane.could_take(now) for lane in self.run.lanes)

    def _end(self, stop: Stop | None) -> None:
        if stop:
            self._stopped(stop)
        self.waiting_for, self.is_asking = "", False
        self.run.wake()

    def _stopped(self, stop: Stop) -> None:
        """Keep what stopped submission; an account by itself is named, since the others may go on."""
        if stop.exit_code is ExitCode.ACCOUNT and self.name:
            stop = replace(stop, why=f"account {self.name}: {stop.why}")
            if self.stop is None and self.run.goes_on_without(self):
                self.run.notice(f"{stop.why}; the other accounts go on. To use it again: {stop.hint}")
        self.stop = stop

    def _decide(self) -> Permit | Hold | Stop | None:
        now = self._clock.now()
        if self.run.closing or not (self._backlog or self.run.slots or self.run.awaiting()):
            self.settle()
            return None
        decision = self._checked(now)
        if not isinstance(decision, Go):
            return decision
        if self._leaves_it(now) or not self.account.gives_turn(self._number):
            return Hold("")
        return self._permit(decision, now)

    def _checked(self, now: float, paced: bool = True) -> Go | Hold | Stop:
        """Whether a task may be submitted now, as far as this account is concerned; takes none.

        Unless `paced`, the rate of submissions doesn't count.
        """
        decision = self._breaker.decide(self._situation())
        if isinstance(decision, Stop):
            return decision
        if not self._backlog:
            return Hold("" if self.run.slots else self.run.awaiting())
        if end := self._nothing_will_be_accepted(now):
            return end
        if isinstance(decision, Hold):
            return decision
        most_in_the_air = self._breaker.most_in_the_air(self.account.in_doubt)
        if self.account.in_the_air >= most_in_the_air or self.slots >= self.settings.most_in_flight:
            return Hold("")
        if paced and now < (turn := max(self.rate.next_turn, self.account.rate.next_turn)):
            return Hold("", turn)
        if full := self._disk.full(self.run.in_the_air, now):
            return full
        if not self._breaker.has_choice(self._backlog, now):
            waiting = self._breaker.waiting(self._backlog.kinds(), now)
            due = [at for at in (self._backlog.next_due(), waiting.until) if at is not None]
            return Hold(waiting.why, min(due, default=None))
        return decision

    def _nothing_will_be_accepted(self, now: float) -> Stop | None:
        """The stop if nothing is in flight and only refused models are left, or an hour passed idle."""
        if self.run.slots > self.run.in_the_air:
            return None
        kinds, idle = self._backlog.kinds(), self.run.is_idle(now)
        is_over = idle or not (self.run.slots or self.run.awaiting())
        if is_over and (end := self._breaker.denied(kinds, idle)):
            return end
        if not idle:
            return None
        return Stop(
            f"nothing was accepted for an hour; last: {self._last_refusal or self.waiting_for}",
            "run the same command again later",
            ExitCode.UNFINISHED,
        )

    def _permit(self, go: Go, now: float) -> Permit:
        task = self._breaker.choose(self._backlog, now)
        assert task is not None  # noqa: S101  that there is one was checked
        self.rate.took(now)
        self.account.took(self._number, now)
        self.slots += 1
        self.in_the_air += 1
        permit = Permit(task, probe=self._breaker.submitted(go, task))
        if len(self.run.lanes) > 1:  # an account that left the task to this one may take the next
            self.account.wake()
        return permit

    async def _may_probe(self, permit: Permit) -> bool:
        """In an outage, send a free request before risking one more submission in doubt."""
        if not self._breaker.asks_first or await self._gateway_answers():
            return True
        self.withdraw(permit)
        self._backlog.put(permit.task)
        self._breaker.unanswered(self._clock.now())
        return False

    def _situation(self, without: int = 0) -> Situation:
        others = self.run.used_besides(self)
        return Situation(
            now=self._clock.now(),
            in_flight=self.account.slots - without,
            in_doubt=self.account.in_doubt,
            chance=_chance(),
            ended=self.run.ended(),
            wall=self._clock.wall(),
            elsewhere=self.account.slots + others - self.run.slots,
            others=others,
        )

    async def _wait(self, until: float | None) -> None:
        is_trying = bool(self._backlog or self.run.in_the_air)
        if self._backlog and (idle_end := self.run.idle_from) is not None:
            until = min(idle_end, until if until is not None else idle_end)
        seconds = None if until is None else max(0.0, self._clock.real(until - self._clock.now()))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        if not is_trying:
            self.account.last_accepted = self._clock.now()


def _chance() -> float:
    return random.random()  # noqa: S311  jitter, not a secret
