"""What is true of one run, whichever of its accounts it uses: shared by the breakers of all of them."""

from __future__ import annotations

from batchrunner.core.submission.budget import BudgetGate
from batchrunner.core.submission.canary import CanaryGate
from batchrunner.core.submission.failures import FailureGate
from batchrunner.core.submission.hours import Hours
from batchrunner.core.submission.rejections import RejectionGate
from batchrunner.core.submission.window import WindowGate


class RunGates:
    """The gates that close for a run on all its accounts; see the table in `breaker`."""

    def __init__(self, failures: float | None = None, hours: Hours | None = None) -> None:
        """`failures` is the budget's."""
        self.rejections = RejectionGate()
        self.failures = FailureGate(failures)
        self.budget = BudgetGate()
        self.window = WindowGate(hours or Hours())
        self.canaries = CanaryGate()
