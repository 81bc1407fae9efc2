"""The job of a run: its parameters from the command line and the manifest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from batchrunner.core.confirmation import Agreement
from batchrunner.core.model import Plan
from batchrunner.core.rules.limits import Limits
from batchrunner.engine.accounts import GivenAccount
from batchrunner.engine.relocation import GivenAddress
from batchrunner.engine.together import Together
from batchrunner.gateway import ApiKey, GatewaySettings
from batchrunner.output.event_stream import EventSink
from batchrunner.output.progress import Display, Silent


@dataclass(frozen=True, slots=True)
class Job:
    """The parameters of one run."""

    directory: Path
    """The run directory."""
    limits: Limits
    gateway: GatewaySettings
    gateway_name: str
    """What the ledger is bound to: the gateway's origin, or `simulator`."""
    key: Callable[[], ApiKey]
    """Called only when there is something to do; raises AccountError if there is no key."""
    plan: Plan | None = None
    """None: poll and collect what is paid for, submit nothing."""
    time_scale: float = 1.0
    display: Display = field(default_factory=Silent)
    only: tuple[str, ...] = ()
    """IDs or `label=value`: the tasks that may be submitted, and that the summary counts; all if empty."""
    limit: int | None = None
    """Only the first this many of them."""
    recovers: bool = False
    """Find paid tasks missing from the ledger, poll and collect them, and submit nothing."""
    address_named: bool = True
    """Whether the gateway's address was set by the user; if not, it is the default."""
    same_gateway: bool = False
    """Set by the user: the gateway at this address is the one that the ledger is bound to."""
    agreement: Agreement | None = None
    """What the run needs, and the user's consent to it; None if the manifest wants nobody to be asked."""
    remarks: tuple[str, ...] = ()
    """Notices to show before the run begins; kept in run.log."""
    events: EventSink | None = None
    """Gets the events of the run, too."""
    recollect_all: bool = False
    """Try uncollected videos once more, including links known to be dead."""
    videos: str = ""
    """URL of the place for finished videos; empty for the one that the ledger is bound to."""
    collect_on: str = ""
    """The cluster that downloads videos: `ray`, or `ray://HOST:PORT`; empty for this machine alone."""
    fetch_missing: bool = False
    """Download finished videos whose files are gone."""
    accounts: tuple[GivenAccount, ...] = ()
    """The accounts that it may use, each with its own key; empty for a single one, without a name."""
    together: Together | None = None
    """What it shares with other runs of the same command."""

    @property
    def address(self) -> GivenAddress:
        """The gateway's address, and what the user said about it."""
        return GivenAddress(self.gateway_name, self.gateway, self.key, self.address_named, self.same_gateway)

    @property
    def submits(self) -> bool:
        """Whether pending tasks are submitted."""
        return self.plan is not None and not self.recovers
