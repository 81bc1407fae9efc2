"""The gate for temporary refusals: 429, errors of the gateway itself, no connection."""

from __future__ import annotations

from dataclasses import dataclass

from batchrunner.core.outcome import Accepted, NotAdmitted, Refusal, SubmitOutcome
from batchrunner.core.policy import backoff
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation
from batchrunner.core.submission.gate import Gate

WAITING_FOR = {
    Refusal.UNREACHABLE: "the gateway can't be reached; retrying",
    Refusal.THROTTLED: "rate-limited by the gateway (429)",
    Refusal.GATEWAY_BUSY: "the gateway reports an internal error; retrying",
    Refusal.REFUNDED: "the gateway can't reach the model; retrying",
}
"""What is waited for, by why a submission was not admitted."""


@dataclass(slots=True)
class _Pause:
    """Nothing leaves until then; each refusal after its end makes the next one longer."""

    episode: int = 0
    until: float = 0.0
    why: str = ""

    def extend(self, refused: NotAdmitted, at: Situation) -> bool:
        """Pause, or go on pausing; return whether this refusal came after the last pause."""
        asked = at.now + (refused.retry_after or 0.0)
        if at.now < self.until:  # sent before the pause began: only a longer one is news
            self.until = max(self.until, asked)
            return False
        self.episode += 1
        wait = refused.retry_after
        self.until = at.now + backoff(self.episode, at.chance) if wait is None else asked
        self.why = WAITING_FOR[refused.why] + ("; it asked for a pause" if wait else "")
        return True


class ThrottleGate(Gate):
    """A refused submission pauses everybody, or its model alone where another model is accepted.

    After 429 fewer are in flight; accepted submissions let the number grow back.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._everybody = _Pause()
        self._models: dict[str, _Pause] = {}
        self._was_cut = False
        self._accepted: dict[str, int] = {}
        """The ordinal of each model's newest acceptance."""
        self._acceptances = 0
        self.cause = ""
        """The model whose refusal began the pause for everybody: another one is tried first after it."""
        self.limit = concurrency
        """How many may be in flight."""

    def allow(self, concurrency: int) -> None:
        """Let so many be in flight from now on, but no more than a 429 left of them."""
        was_whole = self.limit == self._concurrency
        self._concurrency = concurrency
        self.limit = concurrency if was_whole else min(self.limit, concurrency)

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            self._heard_acceptance(task.model, at)
        elif isinstance(outcome, NotAdmitted) and outcome.why in WAITING_FOR:
            if outcome.why is not Refusal.UNREACHABLE and self._is_its_own(task.model):
                self._models.setdefault(task.model, _Pause()).extend(outcome, at)
                return
            if self._everybody.extend(outcome, at):
                self.cause = task.model
                self._cut(outcome.why, at)

    def _heard_acceptance(self, model: str, at: Situation) -> None:
        self._acceptances += 1
        self._accepted[model] = self._acceptances
        if (own := self._models.get(model)) and at.now >= own.until:
            del self._models[model]
        if self.cause not in ("", model):  # the pause is that model's alone, as it turns out
            self._models[self.cause], self._everybody = self._everybody, _Pause()
        if at.now >= self._everybody.until:
            self._everybody, self._was_cut, self.cause = _Pause(), False, ""
        self.limit = min(self._concurrency, self.limit + 1)

    def _is_its_own(self, model: str) -> bool:
        """Whether another model is accepted while this one is refused."""
        mine = self._accepted.get(model, 0)
        others = (count for other, count in self._accepted.items() if other != model)
        return model in self._models or any(count > mine for count in others)

    def _cut(self, why: Refusal, at: Situation) -> None:
        if not self._was_cut and why is Refusal.THROTTLED:
            self._was_cut = True
            self.limit = max(1, min(self.limit, at.in_flight) * 3 // 4)

    def decide(self, at: Situation) -> Decision:
        if at.now < self._everybody.until:
            return Hold(self._everybody.why, self._everybody.until)
        if at.in_flight >= self.limit:
            return Hold("")
        return Go()

    def allows(self, model: str, now: float) -> bool:
        """Whether a submission of this model may leave."""
        return model not in self._models or now >= self._models[model].until

    def reason(self, model: str, now: float) -> str:
        """What this model is paused for; empty where it isn't."""
        return "" if self.allows(model, now) else f"{model}: {self._models[model].why}"

    def next_due(self, now: float) -> float | None:
        """When the next model that is paused may be tried."""
        return min((pause.until for pause in self._models.values() if pause.until > now), default=None)
