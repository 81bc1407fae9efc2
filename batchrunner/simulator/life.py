"""A task's life upstream, and what the gateway has seen of it. Pure.

Upstream, a task is queued, running, then ended. The gateway only notices when its refresh loop polls it
(see `loop`), so the state shown to clients changes in steps. All times are Unix seconds, all durations
real seconds.
"""

from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a task ends upstream."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    MODERATED = "moderated"
    UNREADABLE = "unreadable"  # a link in the request
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    STUCK = "stuck"  # never: runs until the gateway gives up
    CHANNEL_LOST = "channel_lost"  # the gateway can't poll any more, gives up, and refunds nothing


@dataclass(frozen=True)
class Life:
    """The whole life of one task upstream, fixed when it is accepted."""

    created_at: float
    running_at: float
    ended_at: float  # for a stuck task: when the gateway gives up on it
    ending: Ending
    flicker: bool = False  # while it runs, one of the gateway's polls gets an error


@dataclass(frozen=True)
class Timings:
    """The gateway's own times, in real seconds, and its status for a newly accepted task."""

    refresh: float
    line: float
    timeout: float
    link: float
    first_status: str = "NOT_START"


@dataclass(frozen=True)
class Phase:
    """The state that the gateway shows from `at` on."""

    at: float
    status: str  # SUBMITTED, NOT_START, QUEUED, IN_PROGRESS, SUCCESS or FAILURE
    progress: str
    upstream: str | None  # the upstream's status; None before the first poll
    asked_at: float  # when the upstream reported it

    @property
    def final(self) -> bool:
        """Whether the state is final."""
        return self.status in ("SUCCESS", "FAILURE")


_SHOWN = {
    "queued": ("QUEUED", "10%"),
    "running": ("IN_PROGRESS", "50%"),
    "succeeded": ("SUCCESS", "100%"),
    "failed": ("FAILURE", "100%"),
}
_ANYTHING_ELSE = ("IN_PROGRESS", "30%")  # expired, cancelled, or the body of an error


class ObservedLife:
    """A task's life as seen by the gateway: each visit of the refresh loop may add to `phases`."""

    def __init__(self, life: Life, pace: Timings) -> None:
        self.life = life
        self._gives_up_at = life.created_at + pace.timeout
        if life.ending is Ending.CHANNEL_LOST:
            self._gives_up_at = min(self._gives_up_at, life.ended_at)
        self.phases = [Phase(life.created_at, pace.first_status, "0%", None, life.created_at)]

    @property
    def phase(self) -> Phase:
        """The state that the gateway shows now."""
        return self.phases[-1]

    @property
    def started_at(self) -> float:
        """When the gateway first saw it in progress; 0 if not yet."""
        return next((phase.at for phase in self.phases if phase.status == "IN_PROGRESS"), 0.0)

    def visit(self, at: float) -> None:
        """Handle a visit of the refresh loop, which may add a phase."""
        shown, upstream = self.phase, self._upstream(at)
        status, progress = _SHOWN.get(upstream, _ANYTHING_ELSE)
        if at >= self._gives_up_at and status not in ("SUCCESS", "FAILURE"):
            # It is not polled again: the old upstream state stays next to the failure.
            self.phases.append(Phase(at, "FAILURE", "100%", shown.upstream, shown.asked_at))
        elif upstream != shown.upstream:
            self.phases.append(Phase(at, status, progress, upstream, at))

    def _upstream(self, at: float) -> str:
        """The upstream's answer at `at`."""
        life = self.life
        if at < life.running_at:
            return "queued"
        if at < life.ended_at or life.ending in (Ending.STUCK, Ending.CHANNEL_LOST):
            said = [phase.upstream for phase in self.phases]
            return "error" if life.flicker and said[-1] == "running" and "error" not in said else "running"
        is_failed = life.ending in (Ending.MODERATED, Ending.UNREADABLE)
        return "failed" if is_failed else str(life.ending)
