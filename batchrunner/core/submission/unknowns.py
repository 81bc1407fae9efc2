"""The gate for unanswered submissions, which may all have been charged."""

from __future__ import annotations

from batchrunner.core.outcome import Accepted, Rejected, SubmitOutcome, Unknown
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation
from batchrunner.core.submission.gate import Gate
from batchrunner.core.submission.models import PROBE_INTERVAL

UNKNOWN_IN_A_ROW = 3
"""Consecutive unanswered submissions that close the gate."""


class UnknownGate(Gate):
    """Limits submissions with unknown outcome, which may all be charged: a few, then one now and then."""

    def __init__(self, max_in_doubt: int) -> None:
        self.most = max_in_doubt
        """With this many in doubt, only a probe is sent now and then."""
        self._in_a_row = 0
        self._open_until: float | None = None
        self._started = False

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, Unknown):
            self._in_a_row += 1
            if self._in_a_row >= UNKNOWN_IN_A_ROW or at.in_doubt >= self.most or self._open_until is not None:
                self._open_until = at.now + PROBE_INTERVAL
        elif isinstance(outcome, Accepted | Rejected):
            self._in_a_row, self._open_until = 0, None

    def decide(self, at: Situation) -> Decision:
        if not self._started:
            self._started = True
            if at.in_doubt >= self.most:  # a restart must not risk one more at once
                self._open_until = at.now + PROBE_INTERVAL
        if self._open_until is None:
            return Go()
        if at.now < self._open_until:
            return Hold("submissions are not being answered; trying one every 5 min", self._open_until)
        return Go(probe=True)

    def postpone(self, now: float) -> None:
        """The gateway doesn't even answer a free request: no probe yet."""
        self._open_until = now + PROBE_INTERVAL

    @property
    def is_open(self) -> bool:
        """Whether the next submission would be a probe."""
        return self._open_until is not None

    def allowed_in_the_air(self, in_doubt: int) -> int:
        """How many submissions may be unanswered at once: all of them may end in doubt."""
        return max(1, self.most - in_doubt)
