"""The gate that distinguishes one invalid request from a mistake in all of them."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from batchrunner.core.errors import ExitCode
from batchrunner.core.model import TaskKey
from batchrunner.core.outcome import Accepted, Receipt, Rejected, SubmitOutcome
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Situation, Stop
from batchrunner.core.submission.gate import Gate

IDENTICAL_REJECTIONS = 10
"""How many different prompts must be rejected with the same error before a probe decides."""
SIMILAR_REJECTIONS = 50
"""The same if only status and code are equal."""

_QUOTED = re.compile(r"""(?<!\w)'[^']*'(?!\w)|"[^"]*"|`[^`]*`|“[^”]*”|‘[^’]*’|「[^」]*」""")
_NUMBERED = re.compile(r"[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*")

Words = tuple[int, str, str]


def words(receipt: Receipt) -> Words:
    """Status, code and message of a rejection, without the parts that vary.

    Quoted text and words with digits (IDs, numbers, times) are removed from the message.
    """
    message = _NUMBERED.sub("#", _QUOTED.sub("#", receipt.message))
    return receipt.status, receipt.code, " ".join(message.casefold().split())


def is_moderation(code: str) -> bool:
    """Whether an upstream code rejects this task's content, which says nothing about the next task."""
    return "SensitiveContent" in code or "RiskDetection" in code


class RejectionGate(Gate):
    """Sends a probe after different prompts were rejected with the same error, none accepted in between.

    The probe is a task with another prompt, as far away in the plan as possible: if accepted, submission
    continues; if rejected with the same error, all requests share a mistake, and the user must act.
    """

    def __init__(self) -> None:
        self._prompts: dict[Words, set[int]] = {}
        """Their hashes."""
        self._suspected: Words | None = None
        self._probe: TaskKey | None = None
        self._stop: Stop | None = None

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        is_probe = task.key == self._probe
        if is_probe:
            self._probe = None
        if isinstance(outcome, Accepted):
            self._prompts.clear()
            self._suspected = None
        elif isinstance(outcome, Rejected) and not is_moderation(outcome.receipt.code):
            self._rejected(outcome.receipt, task, is_probe)

    def _rejected(self, receipt: Receipt, task: Waiting, is_probe: bool) -> None:
        said = words(receipt)
        alike = (*said[:2], "*")
        for key, enough in ((said, IDENTICAL_REJECTIONS), (alike, SIMILAR_REJECTIONS)):
            prompts = self._prompts.setdefault(key, set())
            prompts.add(task.prompt or hash(task.key))
            if is_probe and key == self._suspected:
                self._stop = Stop(
                    f"{len(prompts)} different prompts were rejected with the same error, "
                    f"with none accepted in between: {receipt.code} {receipt.message}",
                    "fix the manifest, then reset the failed tasks with `batchrunner retry DIR --failed`",
                    ExitCode.FAILED,
                )
            elif self._suspected is None and len(prompts) >= enough:
                self._suspected = key

    def submitted(self, task: Waiting, probe: bool) -> None:
        if self._suspected is not None:
            self._probe = task.key

    @property
    def is_suspicious(self) -> bool:
        """Whether the next submission is a probe with another prompt."""
        return self._suspected is not None

    @property
    def rejected_prompts(self) -> AbstractSet[int]:
        """The hashes of the prompts that a probe should avoid."""
        return self._prompts.get(self._suspected, set()) if self._suspected else set()

    def decide(self, at: Situation) -> Decision:
        return self._stop or Go(probe=self.is_suspicious)
