"""What becomes of a task, and what of it the gateway shows at a time. Pure.

Upstream a task is queued, running, then ended. The gateway only learns of it when its refresh loop comes
by, so what a poll sees changes in steps. All times are Unix seconds, all durations real seconds.
"""

import math
from dataclasses import dataclass
from enum import StrEnum


class Ending(StrEnum):
    """How a task ends upstream."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    MODERATED = "moderated"
    EXPIRED = "expired"
    STUCK = "stuck"  # never: runs until the gateway gives it up


@dataclass(frozen=True)
class Life:
    """The whole life of one task upstream, fixed when it is accepted."""

    created_at: float
    running_at: float
    ended_at: float  # of a stuck task: when the gateway gives it up
    ending: Ending
    line: int  # unfinished tasks ahead of it when it came


@dataclass(frozen=True)
class Pace:
    """The gateway's own times, in real seconds."""

    refresh: float
    line: float
    timeout: float
    link: float


@dataclass(frozen=True)
class Phase:
    """What the gateway shows from `at` on."""

    at: float
    status: str  # NOT_START, QUEUED, IN_PROGRESS, SUCCESS or FAILURE
    progress: str
    upstream: str | None  # the upstream's own word; None before it was first asked

    @property
    def final(self) -> bool:
        """Whether the gateway will show nothing else any more."""
        return self.status in ("SUCCESS", "FAILURE")


_SHOWN = {
    "queued": ("QUEUED", "10%"),
    "running": ("IN_PROGRESS", "50%"),
    "expired": ("IN_PROGRESS", "30%"),
    "succeeded": ("SUCCESS", "100%"),
    "failed": ("FAILURE", "100%"),
}


def visible_phases(life: Life, pace: Pace) -> tuple[Phase, ...]:
    """All that the gateway will show of a task, in order; the last phase is final."""
    shown = [Phase(life.created_at, "NOT_START", "0%", None)]
    sweep = life.created_at + pace.timeout
    moments = (life.created_at, life.running_at, life.ended_at, sweep)
    for at in sorted({_next_visit(moment, life, pace) for moment in moments}):
        upstream = _upstream(life, at)
        status, progress = _SHOWN[upstream]
        if at >= sweep and status in ("QUEUED", "IN_PROGRESS"):
            status, progress = "FAILURE", "100%"
        if (status, upstream) != (shown[-1].status, shown[-1].upstream):
            shown.append(Phase(at, status, progress, upstream))
        if shown[-1].final:
            break
    return tuple(shown)


def _next_visit(moment: float, life: Life, pace: Pace) -> float:
    """When the refresh loop next comes to this task, at `moment` or later.

    A round lasts the loop's sleep and a while for each task in line, and the task's own place in the line
    is its offset in the round: with nobody in line, all tasks are seen on one grid.
    """
    place = life.line * pace.line
    period = pace.refresh + place
    at = math.ceil((moment - place) / period) * period + place
    return at if at >= moment else at + period  # rounding must not make it come too early


def _upstream(life: Life, at: float) -> str:
    if at < life.running_at:
        return "queued"
    if at < life.ended_at or life.ending is Ending.STUCK:
        return "running"
    return "failed" if life.ending is Ending.MODERATED else str(life.ending)
