"""The reasons for which no further submission may leave, each a gate of its own.

A gate hears of every outcome and answers one question: may a submission leave now? Pure: time is an
argument, in nominal seconds of the run's clock, and so is chance. `breaker` has the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from batchrunner.core.errors import ExitCode
from batchrunner.core.outcome import (
    PROXY,
    Accepted,
    AccountFault,
    AccountRefused,
    Receipt,
    Rejected,
    SubmitOutcome,
    Unknown,
)
from batchrunner.core.policy import NOT_VISIBLE
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Go, Hold, Situation, Stop, Verdict
from batchrunner.core.submission.models import ONE_MODEL, PROBE_INTERVAL

UNKNOWN_IN_A_ROW = 3


class Gate(Protocol):
    """One reason for which submissions may have to wait."""

    def heard(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        """Take notice of what a submission led to."""

    def verdict(self, at: Situation) -> Verdict:
        """Whether one more may leave now."""


class AccountGate:
    """Closed for good by a refused key or a wrong address. `key_origin` says where the key was found."""

    def __init__(self, key_origin: str = "") -> None:
        self._key = f"the key from {key_origin}" if key_origin else "the key"
        self._stop: Stop | None = None

    def heard(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, AccountRefused) and outcome.fault not in (*ONE_MODEL, AccountFault.BALANCE):
            self.refuse(outcome.fault, outcome.receipt)

    def deny(self, models: Sequence[str], last: AccountRefused) -> Stop:
        """Close: these models are all that is left to submit, and each is refused to the key."""
        if last.fault is AccountFault.OPERATOR:
            return self.refuse(last.fault, last.receipt)
        said = last.receipt.message or f"HTTP {last.receipt.status}"
        self._stop = Stop(
            f"the gateway refuses {self._key} the model {', '.join(sorted(models))}: {said}",
            "ask for access to it, or use a key that has it; then run the same command again",
            ExitCode.ACCOUNT,
        )
        return self._stop

    def refuse(self, fault: AccountFault, receipt: Receipt) -> Stop:
        """Close: the key, or the address, was refused (a query may have shown it, too)."""
        said = receipt.message or f"HTTP {receipt.status}"
        if fault is AccountFault.OPERATOR:
            self._stop = Stop(
                f"the gateway's own account with the model is refused: {said}",
                "tell the gateway's operator; run the same command again when it is mended",
                ExitCode.ACCOUNT,
            )
        elif receipt.code == PROXY:
            self._stop = Stop(
                f"the way to the gateway is closed: {said}",
                "check that proxy, and its user and password in HTTPS_PROXY; then run the same command again",
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
        return self._stop

    def verdict(self, at: Situation) -> Verdict:
        return self._stop or Go()


class BalanceGate:
    """Holds are larger than final prices: what was refused may pass once a task in flight has settled."""

    def __init__(self) -> None:
        self._short = False
        self._settled_since = False
        """Whether a task has settled since the newest submission left."""
        self._stop: Stop | None = None

    def heard(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
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


class DoubtGate:
    """Submissions whose outcome nobody knows may all be charged: few are risked, then one now and then."""

    def __init__(self, max_in_doubt: int) -> None:
        self._max = max_in_doubt
        self._in_a_row = 0
        self._open_until: float | None = None
        self._started = False

    def heard(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
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
