"""Admits submissions: checks slots, rate, disk and breaker before every POST."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

from batchrunner.clock import Clock
from batchrunner.core.budget import UsedUp
from batchrunner.core.errors import ExitCode
from batchrunner.core.kinds import Kind
from batchrunner.core.model import RunSettings, TaskKey
from batchrunner.core.outcome import Accepted, AccountFault, InProgress, NotAdmitted, Receipt, SubmitOutcome
from batchrunner.core.submission.backlog import Backlog, Permit, Waiting
from batchrunner.core.submission.chains import ChainGate
from batchrunner.core.submission.decision import Go, Hold, Situation, Stop
from batchrunner.core.submission.hours import Hours
from batchrunner.core.submission.suspects import Judgement
from batchrunner.engine.disk_room import Disk
from batchrunner.engine.shared_account import IDLE_LIMIT, Member, SharedAccount


class Admission(Member):
    """Admits a run's submissions one by one. The dispatcher asks, and the workers report outcomes."""

    def __init__(
        self,
        clock: Clock,
        settings: RunSettings,
        disk: Disk,
        in_doubt: Callable[[], int],
        gateway_answers: Callable[[], Awaitable[bool]],
        awaiting: Callable[[], str] = lambda: "",
        account: SharedAccount | None = None,
        failures: float | None = None,
        ended: Callable[[], tuple[int, int]] = lambda: (0, 0),
        hours: Hours | None = None,
        chains: ChainGate | None = None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`awaiting` says what may yet bring tasks to submit, if anything.

        `account` is shared with other runs, if any. `failures` is the budget's; `ended` returns how many
        tasks have failed and succeeded.
        """
        self._hours, self._backlog = hours or Hours(), Backlog(chains)
        super().__init__(account or SharedAccount(), settings, clock, in_doubt, failures, self._hours)
        self._disk, self._gateway_answers = disk, gateway_answers
        self._awaiting, self._ended, self._notice = awaiting, ended, notice
        self.canaries, self.failures = self._breaker.canaries, self._breaker.failures
        self._last_refusal = ""
        self.closing = False
        """No more POSTs may be sent, not even for permits already issued."""
        self.stop: Stop | None = None
        """What stopped submission for good."""
        self.waiting_for = ""
        """Why nothing is submitted at the moment; empty while submission goes on."""

    @property
    def is_shut(self) -> bool:
        """Whether no POST may be sent now, not even for permits already issued."""
        return self.closing or not self._hours.is_open(self._clock.now(), self._clock.wall())

    @property
    def is_crowded(self) -> bool:
        """Whether an adopted doubt has taken a slot, so that a permit issued before is one too many."""
        return self._account.slots > self._breaker.most_in_flight or self.slots > self.settings.most_in_flight

    def put(self, task: Waiting, delay: float = 0.0) -> None:
        """Queue a task for submission, in `delay` nominal seconds at the earliest."""
        self._backlog.put(task, self._clock.now() + delay if delay else 0.0)
        self._changed.set()

    def occupy(self, key: TaskKey, kind: Kind) -> None:
        """Take a slot for a generation of an earlier run that is in flight."""
        self.slots += 1
        self.canaries.out(key, kind)

    def look_again(self) -> None:
        """Decide again: the doubts, what is expected from them, or the canaries may have changed."""
        self._tell()
        self._changed.set()

    def watch(self, planned: Iterable[Kind]) -> None:
        """Await the first videos of each kind of which the plan has many tasks; one item for each task."""
        self.canaries.watch(planned)
        self._tell()

    def give_up(self, stop: Stop) -> None:
        """Stop submission for this run; what is paid for is polled and collected."""
        self.stop = stop
        self.close()

    def close(self) -> None:
        """Admit no more submissions; `next` returns None."""
        self.closing = True
        self._changed.set()

    async def next(self) -> Permit | None:
        """Wait for the next submission that may be sent; None if there will be no more in this run."""
        self.is_asking = True
        while True:
            self._changed.clear()
            decision = self._decide()
            self.has_decided()
            if decision is None or isinstance(decision, Stop):
                self.stop, self.waiting_for = decision or self.stop, ""
                self.is_asking = False
                return None
            if isinstance(decision, Hold):
                self.waiting_for = decision.why
                await self._wait(decision.until)
            elif await self._may_probe(decision):
                self.waiting_for = ""
                return decision

    async def drained(self) -> None:
        """Wait until all slots are free, and no look-up can take another."""
        while self.slots or (self._awaiting() and not self.closing):
            self._changed.clear()
            await self._changed.wait()

    def try_alone(self, models: frozenset[str]) -> None:
        """The gateway doesn't list these models: send one submission of each and wait for its answer."""
        self._breaker.try_alone(models)

    def judge(self, permit: Permit, outcome: SubmitOutcome) -> Judgement:
        """Judge whether a refusal is the task's own problem; call once per outcome, before `record`."""
        suspects = self._account.gates.suspects
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
            self._account.last_accepted = self._clock.now()
        else:
            self.slots -= 1
            self._last_refusal = outcome.receipt.message or outcome.receipt.code
            self._account.budget_freed()
        if not spares_others:
            at = self._situation(without=isinstance(outcome, Accepted))
            self._breaker.record(outcome, permit.task, at, permit.probe)
        else:
            self._breaker.withdrawn(permit.task, permit.probe)
        self._account.wake()

    def withdraw(self, permit: Permit) -> None:
        """The submission was not sent after all."""
        self.in_the_air -= 1
        self.slots -= 1
        self._breaker.withdrawn(permit.task, permit.probe)
        self._account.wake()

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
            self._account.wake()

    def free_slot(self, key: TaskKey, settled: bool) -> None:
        """Free a generation's slot; `settled` if it has ended and its hold was settled."""
        self.slots -= 1
        self._account.last_accepted = self._clock.now()
        self.capacity.left((self._number, key), self._clock.now(), settled)
        self._breaker.look_again(self._clock.now())
        self._tell()
        if settled:
            self._breaker.generation_ended()
            self._account.budget_freed()
        self._account.wake()

    def refuse(self, fault: AccountFault, receipt: Receipt) -> None:
        """A query showed that the key or the address is refused."""
        self._breaker.refuse(fault, receipt)
        self._account.wake()

    def settle(self) -> None:
        """Record why submission is stopped when `next` won't be called."""
        decision = self._breaker.decide(self._situation())
        self.stop = decision if isinstance(decision, Stop) else self.stop

    def could_submit(self) -> bool:
        """Whether a submission could be sent now, were it this run's turn."""
        return not self.closing and isinstance(self._checked(self._clock.now()), Go)

    def _tell(self) -> None:
        for news in filter(None, (self.capacity.news(), *self.canaries.news())):
            self._notice(news)

    def _decide(self) -> Permit | Hold | Stop | None:
        now = self._clock.now()
        if self.closing or not (self._backlog or self.slots or self._awaiting()):
            self.settle()
            return None
        decision = self._checked(now)
        if not isinstance(decision, Go):
            return decision
        return self._permit(decision, now) if self._account.gives_turn(self._number) else Hold("")

    def _checked(self, now: float) -> Go | Hold | Stop:
        """Whether a task may be submitted now, as far as this run is concerned; takes none."""
        decision = self._breaker.decide(self._situation())
        if isinstance(decision, Stop):
            return decision
        if not self._backlog:
            return Hold("" if self.slots else self._awaiting())
        if end := self._nothing_will_be_accepted(now):
            return end
        if isinstance(decision, Hold):
            return decision
        most_in_the_air = self._breaker.most_in_the_air(self._account.in_doubt)
        if self._account.in_the_air >= most_in_the_air or self.slots >= self.settings.most_in_flight:
            return Hold("")
        if now < (turn := max(self.rate.next_turn, self._account.rate.next_turn)):
            return Hold("", turn)
        if full := self._disk.full(self.in_the_air, now):
            return full
        if not self._breaker.has_choice(self._backlog, now):
            waiting = self._breaker.waiting(self._backlog.kinds(), now)
            due = [at for at in (self._backlog.next_due(), waiting.until) if at is not None]
            return Hold(waiting.why, min(due, default=None))
        return decision

    def _nothing_will_be_accepted(self, now: float) -> Stop | None:
        """The stop if nothing is in flight and only refused models are left, or an hour passed idle."""
        if self.slots > self.in_the_air:
            return None
        kinds, idle = self._backlog.kinds(), self._account.is_idle(now)
        if (idle or not (self.slots or self._awaiting())) and (end := self._breaker.denied(kinds, idle)):
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
        self._account.took(self._number, now)
        self.slots += 1
        self.in_the_air += 1
        return Permit(task, probe=self._breaker.submitted(go, task))

    async def _may_probe(self, permit: Permit) -> bool:
        """In an outage, send a free request before risking one more submission in doubt."""
        if not self._breaker.asks_first or await self._gateway_answers():
            return True
        self.withdraw(permit)
        self._backlog.put(permit.task)
        self._breaker.unanswered(self._clock.now())
        return False

    def _situation(self, without: int = 0) -> Situation:
        return Situation(
            now=self._clock.now(),
            in_flight=self._account.slots - without,
            in_doubt=self._account.in_doubt,
            chance=_chance(),
            ended=self._ended(),
            wall=self._clock.wall(),
            elsewhere=self._account.slots - self.slots,
        )

    async def _wait(self, until: float | None) -> None:
        is_trying = bool(self._backlog or self.in_the_air)
        idle_end = self._account.last_accepted + IDLE_LIMIT
        if self._account.slots == 0 and self._backlog:
            until = min(idle_end, until if until is not None else idle_end)
        seconds = None if until is None else max(0.0, self._clock.real(until - self._clock.now()))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        if not is_trying:
            self._account.last_accepted = self._clock.now()


def _chance() -> float:
    return random.random()  # noqa: S311  jitter, not a secret
