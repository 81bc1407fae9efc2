"""The breaker: why no further submission may leave, for everybody, until something changes.

One row of the table is one gate. Polling and collecting never ask.

| gate            | opens on                                  | lets through again                        |
|-----------------|-------------------------------------------|-------------------------------------------|
| `AccountGate`   | the key or the address is refused, or     | never: a person must act, exit 4          |
|                 | every model that is left to submit        |                                           |
| `BalanceGate`   | too little balance for one more hold      | one probe after each settlement           |
| `ThrottleGate`  | 429, the gateway's own fault, no          | after Retry-After or backoff, with fewer; |
|                 | connection                                | one model where another is accepted       |
| `DoubtGate`     | 3 unknown in a row, or many in doubt      | one probe every 5 min                     |
| `RejectionGate` | 10 prompts rejected in the same words,    | a probe with another prompt; rejected in  |
|                 | with nothing accepted between             | the same words: a person must act, exit 1 |
| `ModelGate`     | no channel for a model, or no access      | that model: backoff, then every 5 min     |

What only one task is refused opens no gate: `suspects` judges that.
"""

from __future__ import annotations

from collections.abc import Collection

from batchrunner.core.outcome import SubmitOutcome
from batchrunner.core.submission.backlog import Backlog, Waiting
from batchrunner.core.submission.decision import Go, Hold, Situation, Stop, Verdict
from batchrunner.core.submission.gates import AccountGate, BalanceGate, DoubtGate, Gate
from batchrunner.core.submission.models import ModelGate
from batchrunner.core.submission.rejections import RejectionGate
from batchrunner.core.submission.throttling import ThrottleGate


class Breaker:
    """All gates together. One probe at a time: while it is in the air, nothing else leaves."""

    def __init__(self, concurrency: int, max_in_doubt: int, key_origin: str = "") -> None:
        self.account = AccountGate(key_origin)
        self.balance = BalanceGate()
        self.throttle = ThrottleGate(concurrency)
        self.doubt = DoubtGate(max_in_doubt)
        self.models = ModelGate()
        self._rejections = RejectionGate()
        self._gates: tuple[Gate, ...] = (
            self.account,
            self._rejections,
            self.balance,
            self.doubt,
            self.throttle,
        )
        self._probing = False

    def heard(self, outcome: SubmitOutcome, task: Waiting, at: Situation, probe: bool = True) -> None:
        """Take notice of what a submission led to; `probe` as it was when it was let through."""
        if probe:
            self.withdrawn(task.model)
        for gate in self._gates:
            gate.heard(outcome, task, at)
        self.models.heard(outcome, task, at)

    def withdrawn(self, model: str = "") -> None:
        """The probe that was let through did not leave after all."""
        self._probing = False
        self.models.answered(model)

    def left(self, verdict: Go, task: Waiting) -> bool:
        """A submission was let through by this verdict. Returns whether it is a probe."""
        self._probing = verdict.probe
        self.balance.left()
        self.models.left(task.model)
        self._rejections.left(task)
        return verdict.probe or self.models.is_waiting(task.model)

    def verdict(self, at: Situation) -> Verdict:
        """Whether one more submission may leave now: the first gate that objects decides."""
        if self._probing:
            return Hold("waiting for the answer to a probe")
        verdicts = [gate.verdict(at) for gate in self._gates]
        for kind in (Stop, Hold):
            for verdict in verdicts:
                if isinstance(verdict, kind):
                    return verdict
        return Go(probe=any(isinstance(verdict, Go) and verdict.probe for verdict in verdicts))

    def choose(self, backlog: Backlog, now: float) -> Waiting | None:
        """Take the task that goes next, once one may: in plan order, but for what a probe is to show."""

        def may_go(model: str) -> bool:
            return self.models.may_go(model, now) and self.throttle.may_go(model, now)

        if self._rejections.is_suspicious:
            return backlog.take_elsewhere(now, may_go, self._rejections.rejected_prompts)
        # Whether a pause was for everybody or for the model that caused it is shown by another one.
        cause = self.throttle.cause
        other = backlog.take(now, lambda model: model != cause and may_go(model)) if cause else None
        return other or backlog.take(now, may_go)

    def held(self, models: Collection[str], now: float) -> Hold:
        """Until when no task of these models may go, and why, as far as it is the models' own trouble."""
        reasons = (self.models.why(model, now) or self.throttle.why(model, now) for model in sorted(models))
        due = [at for at in (self.models.next_due(now), self.throttle.next_due(now)) if at is not None]
        return Hold(next(filter(None, reasons), "waiting before the next try"), min(due, default=None))

    def denied(self, models: Collection[str], some: bool = False) -> Stop | None:
        """The end, where each of these models (or `some`), all that are left, is refused to the key."""
        refusals = {model: refused for model in models if (refused := self.models.denied(model))}
        if not refusals or (len(refusals) < len(models) and not some):
            return None
        return self.account.deny(tuple(refusals), next(iter(refusals.values())))
