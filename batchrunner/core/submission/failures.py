"""The gate for failures: more of them than the budget allows, or many in a row that may be charged."""

from __future__ import annotations

from batchrunner.core.errors import ExitCode
from batchrunner.core.submission.decision import Decision, Go, Situation, Stop
from batchrunner.core.submission.gate import Gate
from batchrunner.core.text import count, printable

SHARE_AFTER = 20
"""A share of failed tasks says nothing before so many have ended."""
MOST_UNEXPLAINED = 10
"""So many in a row are not the fault of single tasks."""


class FailureGate(Gate):
    """Stops submission when `most` tasks have failed; `most` below 1 is a share of those that ended.

    It also stops, whatever the budget, when generations fail one after another without the model's own error
    code: the gateway refunds failures that have one, and may charge the others.
    """

    def __init__(self, most: float | None) -> None:
        self._most, self._unexplained, self._message = most, 0, ""

    def succeeded(self) -> None:
        """A generation has succeeded."""
        self._unexplained = 0

    def unexplained(self, message: str) -> None:
        """A generation has failed without the model's error code."""
        self._unexplained, self._message = self._unexplained + 1, message

    def decide(self, at: Situation) -> Decision:
        if self._unexplained >= MOST_UNEXPLAINED:
            return Stop(
                f"{self._unexplained} generations in a row failed without an error code of the model, "
                f"and may have been charged; the last one: {printable(self._message[:200]) or 'no message'}",
                "ask the gateway's operator; the next run submits a few more and checks again",
                ExitCode.FAILED,
            )
        failed, succeeded = at.ended
        ended = failed + succeeded
        if self._most is None or not _is_reached(self._most, failed, ended):
            return Go()
        return Stop(
            f"budget.failures reached: {failed:,} of the {count(ended, 'task')} that had ended failed",
            "fix the causes listed in results.csv, or raise budget.failures, then run again; "
            "failed tasks are submitted again only after `batchrunner retry`",
            ExitCode.FAILED,
        )


def _is_reached(most: float, failed: int, ended: int) -> bool:
    if most >= 1:
        return failed >= most
    return ended >= SHARE_AFTER and failed >= most * ended
