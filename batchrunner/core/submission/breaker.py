"""The breaker: stops all submissions until the reason is gone.

One row of the table is one gate. Polling and collecting never ask.

| gate            | opens on                                  | lets through again                        |
|-----------------|-------------------------------------------|-------------------------------------------|
| `AccountGate`   | the key or the address is refused, or     | never: a person must act, exit 4          |
|                 | every model that is left to submit        |                                           |
| `BalanceGate`   | too little balance for one more hold      | one probe after each settlement           |
| `ThrottleGate`  | 429, the gateway's own fault, no          | after Retry-After or backoff, with fewer; |
|                 | connection                                | one model where another is accepted       |
| `UnknownGate`   | 3 unknown in a row, or many in doubt      | one probe every 5 min                     |
| `RejectionGate` | 10 prompts rejected in the same words,    | a probe with another prompt; rejected in  |
|                 | with nothing accepted between             | the same words: a person must act, exit 1 |
| `ModelGate`     | no channel for a model, or no access      | that model: backoff, then every 5 min     |

What only one task is refused opens no gate: `suspects` judges that.
"""

from __future__ import annotations

from collections.abc import Collection

from batchrunner.core.outcome import AccountFault, Receipt, SubmitOutcome
from batchrunner.core.submission.account import AccountGate
from batchrunner.core.submission.backlog import Backlog, Waiting
from batchrunner.core.submission.balance import BalanceGate
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation, Stop
from batchrunner.core.submission.gate import Gate
from batchrunner.core.submission.models import ModelGate
from batchrunner.core.submission.rejections import RejectionGate
from batchrunner.core.submission.throttling import ThrottleGate
from batchrunner.core.submission.unknowns import UnknownGate


class Breaker:
    """All gates together. One probe at a time: while it is in the air, nothing else leaves."""

    def __init__(self, concurrency: int, max_in_doubt: int, key_origin: str = "") -> None:
        self._account = AccountGate(key_origin)
        self._rejections = RejectionGate()
        self._unknowns = UnknownGate(max_in_doubt)
        self._throttle = ThrottleGate(concurrency)
        self._models = ModelGate()
        self._gates: tuple[Gate, ...] = (
            self._account,
            self._rejections,
            BalanceGate(),
            self._unknowns,
            self._throttle,
            self._models,
        )
        self._probing = False

    # --- what it hears -----------------------------------------------------------------------------------

    def submitted(self, go: Go, task: Waiting) -> bool:
        """A submission was let through by this decision. Returns whether it is a probe."""
        self._probing = go.probe
        for gate in self._gates:
            gate.submitted(task, go.probe)
        return go.probe or self._models.is_waiting(task.model)

    def withdrawn(self, task: Waiting) -> None:
        """The probe that was let through did not leave after all, or says nothing."""
        self._probing = False
        for gate in self._gates:
            gate.withdrawn(task)

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation, probe: bool = True) -> None:
        """Take notice of what a submission led to; `probe` as it was when it was let through."""
        if probe:
            self.withdrawn(task)
        for gate in self._gates:
            gate.record(outcome, task, at)

    def generation_ended(self) -> None:
        """A generation has ended: its hold became its price."""
        for gate in self._gates:
            gate.generation_ended()

    def refuse(self, fault: AccountFault, receipt: Receipt) -> None:
        """A query showed that the key or the address is refused."""
        self._account.refuse(fault, receipt)

    def unanswered(self, now: float) -> None:
        """The gateway doesn't even answer a free question: no probe yet."""
        self._unknowns.postpone(now)

    def allow(self, concurrency: int) -> None:
        """Let so many be in flight from now on."""
        self._throttle.allow(concurrency)

    def try_alone(self, models: Collection[str]) -> None:
        """The gateway doesn't list these: the first submission of each goes alone until its answer."""
        self._models.try_alone(models)

    # --- what it is asked --------------------------------------------------------------------------------

    def decide(self, at: Situation) -> Decision:
        """Whether one more submission may leave now: the first gate that objects decides."""
        if self._probing:
            return Hold("waiting for the answer to a probe")
        decisions = [gate.decide(at) for gate in self._gates]
        for kind in (Stop, Hold):
            for decision in decisions:
                if isinstance(decision, kind):
                    return decision
        return Go(probe=any(isinstance(decision, Go) and decision.probe for decision in decisions))

    def choose(self, backlog: Backlog, now: float) -> Waiting | None:
        """Take the task that goes next, once one may: in plan order, but for what a probe is to show."""

        def may_go(model: str) -> bool:
            return all(gate.allows(model, now) for gate in self._gates)

        if self._rejections.is_suspicious:
            return backlog.take_elsewhere(now, may_go, self._rejections.rejected_prompts)
        # Whether a pause was for everybody or for the model that caused it is shown by another one.
        cause = self._throttle.cause
        other = backlog.take(now, lambda model: model != cause and may_go(model)) if cause else None
        return other or backlog.take(now, may_go)

    def waiting(self, models: Collection[str], now: float) -> Hold:
        """Until when no task of these models may go, and why, as far as it is the models' own trouble."""
        last_first = tuple(reversed(self._gates))
        reasons = (gate.reason(model, now) for model in sorted(models) for gate in last_first)
        due = [at for gate in self._gates if (at := gate.next_due(now)) is not None]
        return Hold(next(filter(None, reasons), "waiting to retry"), min(due, default=None))

    def denied(self, models: Collection[str], some: bool = False) -> Stop | None:
        """The end, where each of these models (or `some`), all that are left, is refused to the key."""
        refusals = {model: refused for model in models if (refused := self._models.denied(model))}
        if not refusals or (len(refusals) < len(models) and not some):
            return None
        return self._account.deny(tuple(refusals), next(iter(refusals.values())))

    def most_in_the_air(self, in_doubt: int) -> int:
        """How many submissions may be without an answer at once, with so many tasks in doubt."""
        return self._unknowns.allowed_in_the_air(in_doubt)

    @property
    def most_in_flight(self) -> int:
        """How many generations may be in flight at once now."""
        return self._throttle.limit

    @property
    def asks_first(self) -> bool:
        """Whether a free question should be answered before the next submission leaves."""
        return self._unknowns.is_open
