"""One reason for which no further submission may leave: what every gate hears, and what it is asked.

Pure: time is an argument, in nominal seconds of the run's clock, and so is chance. A new gate is one new
file, and one row in the table of `breaker`.
"""

from __future__ import annotations

from batchrunner.core.outcome import SubmitOutcome
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Situation


class Gate:
    """Open to everything; a gate overrides what concerns it."""

    def submitted(self, task: Waiting, probe: bool) -> None:
        """A submission was let through; `probe` says that others wait for what becomes of it."""

    def withdrawn(self, task: Waiting) -> None:
        """A submission that was let through did not leave after all."""

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        """Take notice of what a submission led to."""

    def generation_ended(self) -> None:
        """A generation has ended: its hold became its price."""

    def decide(self, at: Situation) -> Decision:
        """Whether one more submission may leave now, whichever it is."""
        return Go()

    def allows(self, model: str, now: float) -> bool:
        """Whether a submission of this model may leave now."""
        return True

    def reason(self, model: str, now: float) -> str:
        """What the tasks of this model wait for; empty where they don't wait for this gate."""
        return ""

    def next_due(self, now: float) -> float | None:
        """When the next model that waits for this gate may be tried; None where none waits for its time."""
        return None
