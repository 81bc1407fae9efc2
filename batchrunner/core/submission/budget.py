"""The gate for a budget that has no room for one more task."""

from __future__ import annotations

from batchrunner.core.budget import UsedUp
from batchrunner.core.errors import ExitCode
from batchrunner.core.outcome import Accepted, SubmitOutcome, Unknown
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation, Stop
from batchrunner.core.submission.gate import Gate


class BudgetGate(Gate):
    """Final prices are below the worst case, so there may be room again once a task in flight has ended."""

    def __init__(self) -> None:
        self._used_up: Stop | None = None
        self._is_shared = False

    def used_up(self, budget: UsedUp) -> None:
        """The ledger refused a claim: it could exceed the budget."""
        self._used_up = Stop(budget.why, budget.hint, ExitCode.UNFINISHED)
        self._is_shared = budget.limit.elsewhere is not None

    def freed_elsewhere(self) -> None:
        """Another run needs less than it had reserved: that matters if the budget is for all of them."""
        if self._is_shared:
            self._used_up = None

    def generation_ended(self) -> None:
        self._used_up = None

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if not isinstance(outcome, Accepted | Unknown):  # what was reserved for it is free again
            self._used_up = None

    def decide(self, at: Situation) -> Decision:
        if self._used_up is None:
            return Go()
        if (at.everywhere if self._is_shared else at.own_in_flight) == 0:
            return self._used_up
        return Hold("budget reached; waiting for a task in flight to settle")
