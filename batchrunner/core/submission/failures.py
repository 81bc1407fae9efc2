"""The gate for too many failed tasks."""

from __future__ import annotations

from batchrunner.core.errors import ExitCode
from batchrunner.core.submission.decision import Decision, Go, Situation, Stop
from batchrunner.core.submission.gate import Gate
from batchrunner.core.text import count

SHARE_AFTER = 20
"""A share of failed tasks says nothing before so many have ended."""


class FailureGate(Gate):
    """Stops submission when `most` tasks have failed; `most` below 1 is a share of those that ended."""

    def __init__(self, most: float | None) -> None:
        self._most = most

    def decide(self, at: Situation) -> Decision:
        failed, succeeded = at.ended
        ended = failed + succeeded
        if self._most is None or not _is_reached(self._most, failed, ended):
            return Go()
        return Stop(
            f"{failed:,} of {count(ended, 'task')} failed, the limit set by budget.failures",
            "fix the causes listed in results.csv, or raise budget.failures, then run the same command again",
            ExitCode.FAILED,
        )


def _is_reached(most: float, failed: int, ended: int) -> bool:
    if most >= 1:
        return failed >= most
    return ended >= SHARE_AFTER and failed >= most * ended
