"""The gate for a balance that is too low for the hold of one more task."""

from __future__ import annotations

from batchrunner.core.errors import ExitCode
from batchrunner.core.outcome import Accepted, AccountFault, AccountRefused, SubmitOutcome
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation, Stop
from batchrunner.core.submission.gate import Gate


class BalanceGate(Gate):
    """Holds exceed final prices, so a refused task may be accepted once a task in flight has settled."""

    def __init__(self) -> None:
        self._short = False
        self._settled_since = False
        """Whether a task has settled since the newest submission was sent."""
        self._stop: Stop | None = None

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            self._short = False
        elif isinstance(outcome, AccountRefused) and outcome.fault is AccountFault.BALANCE:
            self._short = True
            if at.in_flight == 0 and not self._settled_since:
                said = outcome.receipt.message or f"HTTP {outcome.receipt.status}"
                self._stop = Stop(
                    f"balance too low for another task: {said}",
                    "top up the account or raise the key's quota, then run the same command again",
                    ExitCode.ACCOUNT,
                )

    def generation_ended(self) -> None:
        self._settled_since = True

    def submitted(self, task: Waiting, probe: bool) -> None:
        self._settled_since = False

    def decide(self, at: Situation) -> Decision:
        if self._stop:
            return self._stop
        if not self._short:
            return Go()
        if self._settled_since or at.in_flight == 0:
            return Go(probe=True)
        return Hold("balance too low; waiting for a task in flight to settle")
