"""The breaker: why no further submission may leave, for everybody, until something changes.

One row of the table is one gate of `gates`. Polling and collecting never ask.

| gate            | opens on                                | lets through again                       |
|-----------------|-----------------------------------------|------------------------------------------|
| `AccountGate`   | the key or the address is refused       | never: a person must act, exit 4         |
| `BalanceGate`   | too little balance for one more hold    | one probe after each settlement          |
| `ThrottleGate`  | 429, or no connection                   | after Retry-After or backoff, with fewer |
| `DoubtGate`     | 3 unknown in a row, or many in doubt    | one probe every 5 min                    |
| `RejectionGate` | 10 identical rejections in a row        | never: a person must act, exit 1         |
| `ModelGate`     | no channel for a model                  | that model: backoff, then every 5 min    |
"""

from __future__ import annotations

from batchrunner.core.gates import (
    AccountGate,
    BalanceGate,
    DoubtGate,
    Gate,
    ModelGate,
    RejectionGate,
    ThrottleGate,
)
from batchrunner.core.outcome import SubmitOutcome
from batchrunner.core.verdict import Go, Hold, Situation, Stop, Verdict


class Breaker:
    """All gates together. One probe at a time: while it is in the air, nothing else leaves."""

    def __init__(self, concurrency: int, max_in_doubt: int, key_origin: str = "") -> None:
        self.account = AccountGate(key_origin)
        self.balance = BalanceGate()
        self.throttle = ThrottleGate(concurrency)
        self.doubt = DoubtGate(max_in_doubt)
        self.models = ModelGate()
        self._gates: tuple[Gate, ...] = (
            self.account,
            RejectionGate(),
            self.balance,
            self.doubt,
            self.throttle,
        )
        self._probing = False

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation, probe: bool = True) -> None:
        """Take notice of what a submission led to; `probe` as it was when it was let through."""
        if probe:
            self.withdrawn(model)
        for gate in self._gates:
            gate.heard(outcome, model, at)
        self.models.heard(outcome, model, at)

    def withdrawn(self, model: str = "") -> None:
        """The probe that was let through did not leave after all."""
        self._probing = False
        self.models.answered(model)

    def left(self, verdict: Go, model: str = "") -> bool:
        """A submission was let through by this verdict. Returns whether it is a probe."""
        self._probing = verdict.probe
        self.balance.left()
        self.models.left(model)
        return verdict.probe or self.models.is_waiting(model)

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
