"""The gate for individual models: without a live channel, or not allowed for the key."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from batchrunner.core.outcome import (
    Accepted,
    AccountFault,
    AccountRefused,
    NotAdmitted,
    Refusal,
    Rejected,
    SubmitOutcome,
)
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Situation
from batchrunner.core.submission.gate import Gate

PROBE_INTERVAL = 300.0
"""Seconds between probes of a gateway that leaves submissions in doubt, or lacks a model."""
MODEL_WAIT_FIRST = 10.0
"""Seconds of the first wait for a model without a channel; doubled up to `PROBE_INTERVAL`."""

ONE_MODEL = frozenset({AccountFault.MODEL, AccountFault.OPERATOR})
"""Faults of the account that may concern one model alone: each other model is tried on its own."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """Why a model's tasks wait, and until when."""

    count: int = 0
    until: float = 0.0
    denied: AccountRefused | None = None
    """The refusal of access; None for a model that will be back by itself."""


class ModelGate(Gate):
    """A model in trouble: its tasks wait, those of other models go on; one probe at a time finds its end."""

    def __init__(self) -> None:
        self._waits: dict[str, _Wait] = {}
        self._probed: set[str] = set()

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        model = task.model
        if isinstance(outcome, Accepted):
            self._waits.pop(model, None)
        elif isinstance(outcome, Rejected) and self.denied(model):
            del self._waits[model]  # the request was looked at: the key may use the model
        elif isinstance(outcome, AccountRefused) and outcome.fault in ONE_MODEL:
            self._waits[model] = _Wait(0, at.now + PROBE_INTERVAL, outcome)
        elif isinstance(outcome, NotAdmitted) and outcome.why is Refusal.MODEL_UNAVAILABLE:
            before = self._waits.get(model, _Wait())
            if at.now >= before.until:
                wait = min(PROBE_INTERVAL, MODEL_WAIT_FIRST * 2**before.count)
                self._waits[model] = _Wait(before.count + 1, at.now + wait)

    def try_alone(self, models: Collection[str]) -> None:
        """The gateway doesn't list these: the first submission of each goes alone until its answer."""
        for model in models:
            self._waits.setdefault(model, _Wait())

    def submitted(self, task: Waiting, probe: bool) -> None:
        if task.model in self._waits:  # it is the only one of its model until its answer
            self._probed.add(task.model)

    def withdrawn(self, task: Waiting) -> None:
        self._probed.discard(task.model)

    def is_waiting(self, model: str) -> bool:
        """Whether the next submission of this model would be a probe."""
        return model in self._waits

    def allows(self, model: str, now: float) -> bool:
        """Whether a submission of this model may leave."""
        return now >= self.waits_until(model) and model not in self._probed

    def waits_until(self, model: str) -> float:
        """When a task of this model may be tried again."""
        return self._waits.get(model, _Wait()).until

    def reason(self, model: str, now: float) -> str:
        """What this model's tasks wait for; empty where they don't."""
        if self.allows(model, now):
            return ""
        if now >= self.waits_until(model):
            return f"waiting for the answer to a first submission of {model}"
        if self._waits[model].denied:
            return f"this key may not use {model}; one task is tried every 5 min"
        return f"{model} currently has no channel; retrying"

    def denied(self, model: str) -> AccountRefused | None:
        """The newest refusal of access to this model, where it was the last word about it."""
        return self._waits.get(model, _Wait()).denied

    def next_due(self, now: float) -> float | None:
        """When the next model that has to wait may be tried."""
        return min((wait.until for wait in self._waits.values() if wait.until > now), default=None)
