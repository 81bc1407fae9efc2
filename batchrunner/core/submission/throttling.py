"""The gate for temporary refusals: 429, errors of the gateway itself, no connection."""

from __future__ import annotations

from dataclasses import dataclass

from batchrunner.core.kinds import Kind
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
"""What submission waits for, by reason of the refusal."""


@dataclass(slots=True)
class _Pause:
    """Nothing is sent until its end; each refusal after that makes the next pause longer."""

    episode: int = 0
    until: float = 0.0
    why: str = ""
    is_asked_for: bool = False
    """The gateway said how long: that concerns the account, not a model."""

    def extend(self, refused: NotAdmitted, at: Situation) -> bool:
        """Start or extend the pause; return whether this refusal came after the last pause."""
        asked = at.now + (refused.retry_after or 0.0)
        if at.now < self.until:  # sent before the pause began: it can only extend it
            self.until = max(self.until, asked)
            self.is_asked_for = self.is_asked_for or _asks(refused)
            return False
        self.episode += 1
        self.is_asked_for = _asks(refused)
        # With a Retry-After of 0, a gateway that goes on refusing would be asked again and again.
        self.until = asked if refused.retry_after else at.now + backoff(self.episode, at.chance)
        self.why = WAITING_FOR[refused.why] + ("; it asked for a pause" if refused.retry_after else "")
        return True


def _asks(refused: NotAdmitted) -> bool:
    """Whether the gateway set a limit on the account for some time."""
    return refused.why is Refusal.THROTTLED and bool(refused.retry_after)


class ThrottleGate(Gate):
    """A refusal pauses all models, or only its own if another model is accepted and it named no time.

    A 429 reduces the number in flight; accepted submissions raise it again.
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
        """The model whose refusal started the pause of all: after it, another model is tried first."""
        self.limit = concurrency
        """How many may be in flight."""

    def allow(self, concurrency: int) -> None:
        """Set how many may be in flight from now on; a reduction after a 429 stays in effect."""
        was_whole = self.limit == self._concurrency
        self._concurrency = concurrency
        self.limit = concurrency if was_whole else min(self.limit, concurrency)

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            self._heard_acceptance(task.model, at)
        elif isinstance(outcome, NotAdmitted) and outcome.why in WAITING_FOR:
            of_all = outcome.why is Refusal.UNREACHABLE or _asks(outcome)
            if not of_all and self._is_its_own(task.model):
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
        lasts = self._everybody.is_asked_for and at.now < self._everybody.until
        if self.cause not in ("", model) and not lasts:  # the pause turns out to concern only that model
            self._models[self.cause], self._everybody = self._everybody, _Pause()
        if at.now >= self._everybody.until:
            self._everybody, self._was_cut, self.cause = _Pause(), False, ""
        self.limit = min(self._concurrency, self.limit + 1)

    def _is_its_own(self, model: str) -> bool:
        """Whether other models are accepted while this one is refused."""
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

    def allows(self, kind: Kind, now: float) -> bool:
        """Whether a submission of this model may be sent now."""
        return kind.model not in self._models or now >= self._models[kind.model].until

    def reason(self, kind: Kind, now: float) -> str:
        """Why this model is paused; empty if it isn't."""
        return "" if self.allows(kind, now) else f"{kind.model}: {self._models[kind.model].why}"

    def next_due(self, now: float) -> float | None:
        """When the next paused model may be tried; None if there is none."""
        return min((pause.until for pause in self._models.values() if pause.until > now), default=None)
