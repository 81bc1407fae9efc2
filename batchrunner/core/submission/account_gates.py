"""What is true of the account, whichever run found it out: shared by the breakers of all runs that use it."""

from __future__ import annotations

from batchrunner.core.submission.account import AccountGate
from batchrunner.core.submission.balance import BalanceGate
from batchrunner.core.submission.capacity import Capacity
from batchrunner.core.submission.models import ModelGate
from batchrunner.core.submission.suspects import Suspects
from batchrunner.core.submission.throttling import ThrottleGate
from batchrunner.core.submission.unknowns import UnknownGate


class AccountGates:
    """The gates that close for all runs at once; see the table in `breaker`."""

    def __init__(self, capacity: Capacity, max_in_doubt: int, key_origin: str = "") -> None:
        self.capacity = capacity
        self.account = AccountGate(key_origin)
        self.balance = BalanceGate()
        self.unknowns = UnknownGate(max_in_doubt)
        self.throttle = ThrottleGate(capacity.limit(0.0))
        self.models = ModelGate()
        self.suspects = Suspects()
        self.probing = False
        """Whether a probe is unanswered: no run sends anything else."""

    def allow(self, concurrency: int, now: float) -> None:
        """Set how many may be in flight from now on."""
        self.capacity.allow(concurrency)
        self.throttle.allow(self.capacity.limit(now))
