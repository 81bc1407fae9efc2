"""The reasons for which no further submission may leave, each a gate of its own.

A gate hears of every outcome and answers one question: may a submission leave now? Pure: time is an
argument, in nominal seconds of the run's clock, and so is chance. `breaker` has the table.
"""

from __future__ import annotations

from typing import Protocol

from batchrunner.core.errors import ExitCode
from batchrunner.core.outcome import (
    Accepted,
    AccountFault,
    AccountRefused,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from batchrunner.core.policy import NOT_VISIBLE, backoff
from batchrunner.core.verdict import Go, Hold, Situation, Stop, Verdict

PROBE_INTERVAL = 300.0
"""Seconds between probes of a gateway that leaves submissions in doubt, or lacks a model."""
MODEL_WAIT_FIRST = 10.0
"""Seconds of the first wait for a model without a channel; doubled up to `PROBE_INTERVAL`."""
UNKNOWN_IN_A_ROW = 3
IDENTICAL_REJECTIONS = 10


class Gate(Protocol):
    """One reason for which submissions may have to wait."""

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        """Take notice of what a submission led to."""

    def verdict(self, at: Situation) -> Verdict:
        """Whether one more may leave now."""


class AccountGate:
    """Closed for good by a refused key or a wrong address. `key_origin` says where the key was found."""

    def __init__(self, key_origin: str = "") -> None:
        self._key = f"the key from {key_origin}" if key_origin else "the key"
        self._stop: Stop | None = None

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        if isinstance(outcome, AccountRefused) and outcome.fault is not AccountFault.BALANCE:
            self.refuse(outcome.fault, outcome.receipt)

    def refuse(self, fault: AccountFault, receipt: Receipt) -> None:
        """Close: the key, or the address, was refused (a query may have shown it, too)."""
        said = receipt.message or f"HTTP {receipt.status}"
        if fault is AccountFault.OPERATOR:
            self._stop = Stop(
                f"the gateway's own account with the model is refused: {said}",
                "tell the gateway's operator; run the same command again when it is mended",
                ExitCode.ACCOUNT,
            )
        elif fault is AccountFault.UNREACHABLE:
            self._stop = Stop(
                f"the gateway can't be reached: {said}",
                "check the network, and --base-url or EASYROUTER_BASE_URL; then run the same command again",
                ExitCode.ACCOUNT,
            )
        elif fault is AccountFault.ADDRESS:
            self._stop = Stop(
                f"this address does not answer like the gateway: {said}",
                "check --base-url or EASYROUTER_BASE_URL, and any proxy or firewall on the way",
                ExitCode.ACCOUNT,
            )
        elif receipt.code == NOT_VISIBLE:
            self._stop = Stop(
                f"the gateway shows none of the tasks under way to {self._key}",
                "is it the account that they were submitted with? Then wait, and run the same command again",
                ExitCode.ACCOUNT,
            )
        else:
            self._stop = Stop(
                f"the gateway refuses {self._key}: {said}",
                "check that key, its model list and its quota, then run the same command again",
                ExitCode.ACCOUNT,
            )

    def verdict(self, at: Situation) -> Verdict:
        return self._stop or Go()


class BalanceGate:
    """Holds are larger than final prices: what was refused may pass once a task in flight has settled."""

    def __init__(self) -> None:
        self._short = False
        self._settled_since = False
        """Whether a task has settled since the newest submission left."""
        self._stop: Stop | None = None

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            self._short = False
        elif isinstance(outcome, AccountRefused) and outcome.fault is AccountFault.BALANCE:
            self._short = True
            if at.in_flight == 0 and not self._settled_since:
                said = outcome.receipt.message or f"HTTP {outcome.receipt.status}"
                self._stop = Stop(
                    f"the balance does not reach for one more task: {said}",
                    "top up the account or raise the key's quota, then run the same command again",
                    ExitCode.ACCOUNT,
                )

    def settled(self) -> None:
        """A generation ended: its hold became its price."""
        self._settled_since = True

    def left(self) -> None:
        """A submission was let through: what settles from now on may make room for the next."""
        self._settled_since = False

    def verdict(self, at: Situation) -> Verdict:
        if self._stop:
            return self._stop
        if not self._short:
            return Go()
        if self._settled_since or at.in_flight == 0:
            return Go(probe=True)
        return Hold("the balance is short; waiting for a task in flight to settle")


_FOR_EVERYBODY = frozenset({Refusal.THROTTLED, Refusal.GATEWAY_BUSY, Refusal.UNREACHABLE})


class ThrottleGate:
    """429: everybody waits, then fewer are in flight; accepted submissions let the number grow back."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._episode = 0
        self._was_cut = False
        self._until = 0.0
        self.limit = concurrency
        """How many may be in flight."""

    def allow(self, concurrency: int) -> None:
        """Let so many be in flight from now on, but no more than a 429 left of them."""
        was_whole = self.limit == self._concurrency
        self._concurrency = concurrency
        self.limit = concurrency if was_whole else min(self.limit, concurrency)

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            if at.now >= self._until:
                self._episode, self._was_cut = 0, False
            self.limit = min(self._concurrency, self.limit + 1)
        elif isinstance(outcome, NotAdmitted) and outcome.why in _FOR_EVERYBODY:
            asked = at.now + (outcome.retry_after or 0.0)
            if at.now < self._until:  # sent before the pause began: only a longer one is news
                self._until = max(self._until, asked)
                return
            self._episode += 1
            wait = outcome.retry_after
            self._until = at.now + backoff(self._episode, at.chance) if wait is None else asked
            if not self._was_cut and outcome.why is Refusal.THROTTLED:
                self._was_cut = True
                self.limit = max(1, min(self.limit, at.in_flight) * 3 // 4)

    def verdict(self, at: Situation) -> Verdict:
        if at.now < self._until:
            return Hold("the gateway is busy and asked for a pause", self._until)
        if at.in_flight >= self.limit:
            return Hold("")
        return Go()


class DoubtGate:
    """Submissions whose outcome nobody knows may all be charged: few are risked, then one now and then."""

    def __init__(self, max_in_doubt: int) -> None:
        self._max = max_in_doubt
        self._in_a_row = 0
        self._open_until: float | None = None
        self._started = False

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        if isinstance(outcome, Unknown):
            self._in_a_row += 1
            if self._in_a_row >= UNKNOWN_IN_A_ROW or at.in_doubt >= self._max or self._open_until is not None:
                self._open_until = at.now + PROBE_INTERVAL
        elif isinstance(outcome, Accepted | Rejected):
            self._in_a_row, self._open_until = 0, None

    def verdict(self, at: Situation) -> Verdict:
        if not self._started:
            self._started = True
            if at.in_doubt >= self._max:
                self._open_until = at.now
        if self._open_until is None:
            return Go()
        if at.now < self._open_until:
            return Hold("submissions stay without an answer; one is tried every 5 min", self._open_until)
        return Go(probe=True)

    def postpone(self, now: float) -> None:
        """The gateway doesn't even answer a free question: no probe yet."""
        self._open_until = now + PROBE_INTERVAL

    @property
    def is_open(self) -> bool:
        """Whether the next submission would be a probe."""
        return self._open_until is not None

    def allowed_in_the_air(self, in_doubt: int) -> int:
        """How many submissions may be without an answer at once: all of them may end in doubt."""
        return max(1, self._max - in_doubt)


class RejectionGate:
    """The same refusal of one request after another is a mistake in all of them."""

    def __init__(self) -> None:
        self._last: tuple[int, str] | None = None
        self._count = 0
        self._stop: Stop | None = None

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            self._last, self._count = None, 0
        elif isinstance(outcome, Rejected) and not is_moderation(outcome.receipt.code):
            seen = (outcome.receipt.status, outcome.receipt.code)
            self._count = self._count + 1 if seen == self._last else 1
            self._last = seen
            if self._count >= IDENTICAL_REJECTIONS:
                self._stop = Stop(
                    f"{self._count} submissions in a row were rejected alike: "
                    f"{outcome.receipt.code} {outcome.receipt.message}",
                    "correct the manifest; `batchrunner retry DIR --failed` makes the failed tasks pending",
                    ExitCode.FAILED,
                )

    def verdict(self, at: Situation) -> Verdict:
        return self._stop or Go()


class ModelGate:
    """A model without a live channel: its tasks wait, those of other models go on."""

    def __init__(self) -> None:
        self._waits: dict[str, tuple[int, float]] = {}
        self._probed: set[str] = set()

    def heard(self, outcome: SubmitOutcome, model: str, at: Situation) -> None:
        if isinstance(outcome, Accepted):
            self._waits.pop(model, None)
        elif isinstance(outcome, NotAdmitted) and outcome.why is Refusal.MODEL_UNAVAILABLE:
            count, until = self._waits.get(model, (0, 0.0))
            if at.now >= until:
                wait = min(PROBE_INTERVAL, MODEL_WAIT_FIRST * 2**count)
                self._waits[model] = (count + 1, at.now + wait)

    def left(self, model: str) -> None:
        """A submission was let through: of a model that had to wait, it is the only one until its answer."""
        if model in self._waits:
            self._probed.add(model)

    def answered(self, model: str) -> None:
        """The one submission of a model that had to wait has its answer, or did not leave after all."""
        self._probed.discard(model)

    def is_waiting(self, model: str) -> bool:
        """Whether the next submission of this model would be a probe."""
        return model in self._waits

    def may_go(self, model: str, now: float) -> bool:
        """Whether a submission of this model may leave."""
        return now >= self.waits_until(model) and model not in self._probed

    def waits_until(self, model: str) -> float:
        """When a task of this model may be tried again."""
        return self._waits.get(model, (0, 0.0))[1]

    def next_due(self, now: float) -> float | None:
        """When the next model that has to wait may be tried."""
        return min((until for _, until in self._waits.values() if until > now), default=None)


def is_moderation(code: str) -> bool:
    """Whether an upstream code refuses this content, which says nothing about the next task's."""
    return "SensitiveContent" in code or "RiskDetection" in code
