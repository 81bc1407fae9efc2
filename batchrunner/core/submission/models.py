"""The gate for individual models: no live channel, or not allowed for the key."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from batchrunner.core.kinds import Kind
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
"""Seconds between probes while the gateway leaves submissions in doubt or lacks a model."""
MODEL_WAIT_FIRST = 10.0
"""Seconds of the first wait for a model without a channel; doubles up to `PROBE_INTERVAL`."""

ONE_MODEL = frozenset({AccountFault.MODEL, AccountFault.OPERATOR})
"""Account faults that may concern one model alone: the other models are still tried."""


@dataclass(frozen=True, slots=True)
class _Wait:
    """Why a model's tasks wait, and until when."""

    count: int = 0
    until: float = 0.0
    denied: AccountRefused | None = None
    """The refusal of access; None for a model that recovers by itself."""


class ModelGate(Gate):
    """Holds back the tasks of an unavailable model, not those of others; one probe at a time tests it."""

    def __init__(self) -> None:
        self._waits: dict[str, _Wait] = {}
        self._probed: set[str] = set()

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        model = task.model
        if isinstance(outcome, Accepted):
            self._waits.pop(model, None)
        elif isinstance(outcome, Rejected) and self.denied(model):
            del self._waits[model]  # the request was validated, so the key may use the model
        elif isinstance(outcome, AccountRefused) and outcome.fault in ONE_MODEL:
            self._waits[model] = _Wait(0, at.now + PROBE_INTERVAL, outcome)
        elif isinstance(outcome, NotAdmitted) and outcome.why is Refusal.MODEL_UNAVAILABLE:
            before = self._waits.get(model, _Wait())
            if at.now >= before.until:
                wait = min(PROBE_INTERVAL, MODEL_WAIT_FIRST * 2**before.count)
                self._waits[model] = _Wait(before.count + 1, at.now + wait)

    def try_alone(self, models: Collection[str]) -> None:
        """The gateway doesn't list these models: send one submission of each and wait for its answer."""
        for model in models:
            self._waits.setdefault(model, _Wait())

    def submitted(self, task: Waiting, probe: bool) -> None:
        if task.model in self._waits:  # the only one of its model until it is answered
            self._probed.add(task.model)

    def withdrawn(self, task: Waiting) -> None:
        self._probed.discard(task.model)

    def is_waiting(self, model: str) -> bool:
        """Whether the next submission of this model would be a probe."""
        return model in self._waits

    def allows(self, kind: Kind, now: float) -> bool:
        """Whether a submission of this model may be sent now."""
        return now >= self.waits_until(kind.model) and kind.model not in self._probed

    def waits_until(self, model: str) -> float:
        """When a task of this model may be tried again."""
        return self._waits.get(model, _Wait()).until

    def reason(self, kind: Kind, now: float) -> str:
        """What this model's tasks wait for; empty if they don't wait."""
        model = kind.model
        if self.allows(kind, now):
            return ""
        if now >= self.waits_until(model):
            return f"waiting for the answer to a first submission of {model}"
        if self._waits[model].denied:
            return f"this key may not use {model}; one task is tried every 5 min"
        return f"{model} currently has no channel; retrying"

    def denied(self, model: str) -> AccountRefused | None:
        """The refusal of access to this model, unless a later answer lifted it."""
        return self._waits.get(model, _Wait()).denied

    def next_due(self, now: float) -> float | None:
        """When the next waiting model may be tried; None if there is none."""
        return min((wait.until for wait in self._waits.values() if wait.until > now), default=None)
