"""The breaker: stops all submissions until the reason is gone.

Each row of the table is a gate. Polling and collecting are never stopped.

| gate            | closes on                                 | lets through again                        |
|-----------------|-------------------------------------------|-------------------------------------------|
| `AccountGate`   | the key or the address is refused, or     | never: the user must act, exit 4          |
|                 | every model that is left to submit        |                                           |
| `BalanceGate`   | too little balance for one more hold      | one probe after each settlement           |
| `ThrottleGate`  | 429, an error of the gateway itself, no   | after Retry-After or backoff, with fewer; |
|                 | connection                                | pauses one model if others are accepted   |
| `WindowGate`    | outside the window, or the deadline has   | when the window opens; exit 75 if nothing |
|                 | passed                                    | is in flight                              |
| `UnknownGate`   | 3 unknown in a row, or many in doubt      | one probe every 5 min                     |
| `RejectionGate` | 10 prompts rejected with the same error,  | a probe with another prompt; if rejected  |
|                 | with none accepted in between             | the same way: the user must act, exit 1   |
| `CanaryGate`    | no video of a kind has come back yet      | that kind: two at once, until one is as   |
|                 |                                           | requested; else never: exit 1             |
| `FailureGate`   | as many tasks failed as the budget        | never: the user must act, exit 1          |
|                 | allows, or 10 in a row without a code     |                                           |
| `BudgetGate`    | no room for one more task's worst case    | when a task in flight has ended; with     |
|                 |                                           | none in flight never, exit 75             |
| `ModelGate`     | no channel for a model, or no access      | that model: backoff, then every 5 min     |

A refusal that only one task gets closes no gate: `suspects` decides that.

What the account itself refuses concerns all runs of a command: these gates are shared (`account_gates`).
What is true of the run concerns all its accounts (`run_gates`): it has a breaker for each of them.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from batchrunner.core.budget import UsedUp
from batchrunner.core.kinds import Kind
from batchrunner.core.outcome import (
    NOT_VISIBLE,
    Accepted,
    AccountFault,
    NotAdmitted,
    Receipt,
    Refusal,
    SubmitOutcome,
)
from batchrunner.core.submission.account import AccountGate
from batchrunner.core.submission.account_gates import AccountGates
from batchrunner.core.submission.backlog import Backlog, Waiting
from batchrunner.core.submission.capacity import Capacity
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation, Stop
from batchrunner.core.submission.gate import Gate
from batchrunner.core.submission.run_gates import RunGates


class Breaker:
    """All gates together. One probe at a time: while it is unanswered, nothing else is sent."""

    def __init__(
        self,
        capacity: Capacity,
        max_in_doubt: int,
        key_origin: str = "",
        shared: AccountGates | None = None,
        run: RunGates | None = None,
    ) -> None:
        """`shared` are the gates of the account, and `run` those of the run; by default, it has its own."""
        self._shared = shared or AccountGates(capacity, max_in_doubt, key_origin)
        self._capacity = capacity
        self._account = AccountGate(key_origin)
        """Refusals that may concern only the tasks of this run."""
        run = run or RunGates()
        self._rejections, self._budget = run.rejections, run.budget
        self.canaries, self.failures = run.canaries, run.failures
        self._unknowns = self._shared.unknowns
        self._throttle = self._shared.throttle
        self._models = self._shared.models
        self._gates: tuple[Gate, ...] = (
            self._shared.account,
            self._account,
            self._rejections,
            self.failures,
            self._shared.balance,
            self._budget,
            run.window,
            self._unknowns,
            self._throttle,
            self._models,
            self.canaries,
        )

    # --- events ------------------------------------------------------------------------------------------

    def submitted(self, go: Go, task: Waiting) -> bool:
        """Record that this decision let a submission through; return whether it is a probe."""
        self._shared.probing = go.probe
        for gate in self._gates:
            gate.submitted(task, go.probe)
        return go.probe or self._models.is_waiting(task.model)

    def withdrawn(self, task: Waiting, probe: bool) -> None:
        """What was let through was not sent after all; a probe may also be inconclusive."""
        self._shared.probing = self._shared.probing and not probe
        for gate in self._gates:
            gate.withdrawn(task)

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation, probe: bool = True) -> None:
        """Record the outcome of a submission; `probe` says whether it was let through as one."""
        if probe:
            self.withdrawn(task, probe)
        for gate in self._gates:
            gate.record(outcome, task, at)
        if isinstance(outcome, Accepted):
            self._capacity.accepted(at.in_flight, at.now)
        elif isinstance(outcome, NotAdmitted) and outcome.why is Refusal.THROTTLED:
            self._capacity.refused(at.in_flight, at.now)
        self.look_again(at.now)

    def generation_ended(self) -> None:
        """A generation has ended, and its hold was settled."""
        for gate in self._gates:
            gate.generation_ended()

    def refuse(self, fault: AccountFault, receipt: Receipt) -> None:
        """A query showed that the key or the address is refused.

        Tasks that the key doesn't see were submitted with another one: that is a fault of this run only.
        """
        gate = self._account if receipt.code == NOT_VISIBLE else self._shared.account
        gate.refuse(fault, receipt)

    def used_up(self, budget: UsedUp) -> None:
        """The budget has no room for one more task."""
        self._budget.used_up(budget)

    def freed_elsewhere(self) -> None:
        """Another run needs less of the budget than it had reserved."""
        self._budget.freed_elsewhere()

    def allow(self, concurrency: int, now: float) -> None:
        """Set how many may be in flight on the account from now on."""
        self._shared.allow(concurrency, now)

    def unanswered(self, now: float) -> None:
        """The gateway doesn't even answer a free request: no probe yet."""
        self._unknowns.postpone(now)

    def look_again(self, now: float) -> None:
        """What is known of the account's capacity may have changed."""
        self._throttle.allow(self._capacity.limit(now))

    def try_alone(self, models: Collection[str]) -> None:
        """The gateway doesn't list these models: send one submission of each and wait for its answer."""
        self._models.try_alone(models)

    # --- decisions ---------------------------------------------------------------------------------------

    def decide(self, at: Situation) -> Decision:
        """Whether one more submission may be sent now: the first gate that objects decides."""
        if self._shared.probing:
            return Hold("waiting for the answer to a probe")
        hold, probe = None, False
        for gate in self._gates:
            match gate.decide(at):
                case Stop() as stop:
                    return stop
                case Hold() as objection:
                    hold = hold or objection
                case Go() as go:
                    probe = probe or go.probe
        return hold or Go(probe)

    def choose(self, backlog: Backlog, now: float) -> Waiting | None:
        """Take the next task to submit: in plan order, unless a probe needs a particular one."""
        may_go = partial(self._allows, now=now)
        if self._rejections.is_suspicious:
            return backlog.take_elsewhere(now, may_go, self._rejections.rejected_prompts)
        # Trying another model shows whether the pause concerns all models or only the one that caused it.
        cause = self._throttle.cause
        other = backlog.take(now, lambda kind: kind.model != cause and may_go(kind)) if cause else None
        return other or backlog.take(now, may_go)

    def has_choice(self, backlog: Backlog, now: float) -> bool:
        """Whether there is a task that `choose` would take."""
        return backlog.has_ready(now, partial(self._allows, now=now))

    def _allows(self, kind: Kind, now: float) -> bool:
        return all(gate.allows(kind, now) for gate in self._gates)

    def waiting(self, kinds: Collection[Kind], now: float) -> Hold:
        """Until when no task of these kinds may be sent, and why, as far as it concerns single kinds."""
        last_first = tuple(reversed(self._gates))
        reasons = (gate.reason(kind, now) for kind in sorted(kinds) for gate in last_first)
        due = [at for gate in self._gates if (at := gate.next_due(now)) is not None]
        return Hold(next(filter(None, reasons), "waiting to retry"), min(due, default=None))

    def denied(self, kinds: Collection[Kind], some: bool = False) -> Stop | None:
        """The stop if none of these kinds, the only ones left, may be sent; with `some`, not all of them."""
        if stop := self.canaries.stopped(kinds):
            return stop
        models = {kind.model for kind in kinds if not self.canaries.is_stopped(kind)}
        refusals = {model: refused for model in models if (refused := self._models.denied(model))}
        if not refusals or (len(refusals) < len(models) and not some):
            return None
        return self._account.deny(tuple(refusals), next(iter(refusals.values())))

    def most_in_the_air(self, in_doubt: int) -> int:
        """How many submissions may be unanswered at once, given the number of tasks in doubt."""
        return self._unknowns.allowed_in_the_air(in_doubt)

    @property
    def most_in_flight(self) -> int:
        """How many generations may be in flight at once now."""
        return self._throttle.limit

    @property
    def asks_first(self) -> bool:
        """Whether the gateway should answer a free request before the next submission."""
        return self._unknowns.is_open
