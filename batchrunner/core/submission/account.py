"""The gate for a refused key or a wrong address."""

from __future__ import annotations

from collections.abc import Sequence

from batchrunner.core.errors import ExitCode
from batchrunner.core.outcome import NOT_VISIBLE, PROXY, AccountFault, AccountRefused, Receipt, SubmitOutcome
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.decision import Decision, Go, Situation, Stop
from batchrunner.core.submission.gate import Gate
from batchrunner.core.submission.models import ONE_MODEL


class AccountGate(Gate):
    """Closed permanently by a refused key or a wrong address. `key_origin` says where the key was found."""

    def __init__(self, key_origin: str = "") -> None:
        self._key = f"the key from {key_origin}" if key_origin else "the key"
        self._stop: Stop | None = None

    def record(self, outcome: SubmitOutcome, task: Waiting, at: Situation) -> None:
        if isinstance(outcome, AccountRefused) and outcome.fault not in (*ONE_MODEL, AccountFault.BALANCE):
            self.refuse(outcome.fault, outcome.receipt)

    def deny(self, models: Sequence[str], last: AccountRefused) -> Stop:
        """Close: only these models are left to submit, and the key may not use any of them."""
        if last.fault is AccountFault.OPERATOR:
            return self.refuse(last.fault, last.receipt)
        said = last.receipt.message or f"HTTP {last.receipt.status}"
        self._stop = Stop(
            f"the gateway refuses {self._key} access to the model {', '.join(sorted(models))}: {said}",
            "ask for access to it, or use a key that has it; then run the same command again",
            ExitCode.ACCOUNT,
        )
        return self._stop

    def refuse(self, fault: AccountFault, receipt: Receipt) -> Stop:
        """Close: the key or the address was refused (by a submission or a query)."""
        said = receipt.message or f"HTTP {receipt.status}"
        again = "run the same command again"
        if fault is AccountFault.OPERATOR:
            why = f"the model refuses the gateway's own account: {said}"
            hint = f"tell the gateway's operator; {again} when it is fixed"
        elif receipt.code == PROXY:
            why = f"the proxy refuses the connection to the gateway: {said}"
            hint = f"check that proxy, and its user and password in HTTPS_PROXY; then {again}"
        elif fault is AccountFault.UNREACHABLE:
            why = f"the gateway can't be reached: {said}"
            hint = f"check the network, and --base-url or EASYROUTER_BASE_URL; then {again}"
        elif fault is AccountFault.ADDRESS:
            why = f"no gateway at this address: {said}"
            hint = "check --base-url or EASYROUTER_BASE_URL, and any proxy or firewall"
        elif receipt.code == NOT_VISIBLE:
            why = f"the gateway shows none of the tasks in flight to {self._key}"
            hint = (
                "check that the key belongs to the account they were submitted with; if so, wait, "
                "then run the same command again"
            )
        else:
            why = f"the gateway refuses {self._key}: {said}"
            hint = f"check that key, its model list and its quota, then {again}"
        self._stop = Stop(why, hint, ExitCode.ACCOUNT)
        return self._stop

    def decide(self, at: Situation) -> Decision:
        return self._stop or Go()
