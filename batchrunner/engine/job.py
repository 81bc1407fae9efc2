"""The job of a run: its parameters from the command line and the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.core.model import Plan
from batchrunner.core.rules.limits import Limits
from batchrunner.engine.relocation import GivenAddress
from batchrunner.gateway import ApiKey, GatewaySettings
from batchrunner.output.progress import Display, Silent


@dataclass(frozen=True, slots=True)
class Job:
    """One run."""

    directory: Path
    """The run directory."""
    limits: Limits
    gateway: GatewaySettings
    gateway_name: str
    """What the ledger is tied to: the gateway's origin, or `simulator`."""
    key: Callable[[], ApiKey]
    """Asked only when there is something to do; raises AccountError where there is none."""
    plan: Plan | None = None
    """None: poll and collect what is paid for, submit nothing."""
    time_scale: float = 1.0
    display: Display = field(default_factory=Silent)
    only: tuple[str, ...] = ()
    """Ids, or `label=value`: the tasks that may be submitted, and that the summary counts; all if empty."""
    limit: int | None = None
    """Of these the first so many."""
    recovers: bool = False
    """Look for what is paid for and not in the ledger, poll and collect it, and submit nothing."""
    address_named: bool = True
    """Whether a person named the gateway's address; else it is the one that is used where none is named."""
    same_gateway: bool = False
    """A person's word: the gateway at this address is the one that the ledger is tied to."""
    remarks: tuple[str, ...] = ()
    """What a person is to know before the run begins; kept in run.log."""
    recollect_all: bool = False
    """Ask for uncollected videos once more, links that are known to be dead included."""
    fetch_missing: bool = False
    """Fetch finished videos whose files are gone."""

    @property
    def address(self) -> GivenAddress:
        """The gateway's address, and what was said of it."""
        return GivenAddress(self.gateway_name, self.gateway, self.key, self.address_named, self.same_gateway)

    @property
    def submits(self) -> bool:
        """Whether pending tasks are submitted."""
        return self.plan is not None and not self.recovers
