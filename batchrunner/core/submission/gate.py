"""The interface of a gate: one reason to stop sending submissions.

Pure: time (nominal seconds of the run's clock) and randomness are arguments. A new gate is a new file and a
row in the table of `breaker`.
"""

from __future__ import annotations

from batchrunner.core.kinds import Kind
from batchrunner.core.outcome import SubmitOutcome
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Situation


class Gate:
    """Lets everything through; a gate overrides what concerns it."""

    def submitted(self, task: Waiting, probe: bool) -> None:
        """A submission was let through; with `probe`, others wait for its outcome."""

    def withdrawn(self, task: Waiting) -> None:
        """A submission that was let through was not sent after all."""

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        """Record the outcome of a submission."""

    def generation_ended(self) -> None:
        """A generation has ended, and its hold was settled."""

    def decide(self, at: Situation) -> Decision:
        """Whether any submission may be sent now."""
        return Go()

    def allows(self, kind: Kind, now: float) -> bool:
        """Whether a submission of this kind may be sent now."""
        return True

    def reason(self, kind: Kind, now: float) -> str:
        """What tasks of this kind wait for; empty if this gate lets them through."""
        return ""

    def next_due(self, now: float) -> float | None:
        """When the next kind held back by this gate may be tried; None if there is none."""
        return None
