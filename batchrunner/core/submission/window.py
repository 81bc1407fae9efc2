"""The gate for the hours in which a run may submit."""

from __future__ import annotations

from batchrunner.core.errors import ExitCode
from batchrunner.core.submission.decision import Decision, Go, Hold, Situation, Stop
from batchrunner.core.submission.gate import Gate
from batchrunner.core.submission.hours import Hours
from batchrunner.core.text import span


class WindowGate(Gate):
    """Closed outside the window and after the deadline.

    While something is in flight, the run has to wait for it anyway, and the window may open in the meantime.
    """

    def __init__(self, hours: Hours) -> None:
        self._hours = hours

    def decide(self, at: Situation) -> Decision:
        hours = self._hours
        if hours.is_open(at.now, at.wall):
            return Go()
        stop = out_of_hours(hours, at.now, at.wall)
        if hours.detaches or hours.is_over(at.now, at.wall) or not at.own_in_flight:
            return stop
        return Hold(f"{stop.why}; waiting for what is in flight")


def out_of_hours(hours: Hours, now: float, wall: float) -> Stop:
    """The stop outside the window or after the deadline; `now` in nominal and `wall` in Unix seconds."""
    if not hours.is_over(now, wall):
        why = f"outside the window {hours.window} ({hours.zone_name})"
        hint = f"it opens {hours.shown(hours.opens_at(wall))}: run the same command again then"
    elif wall >= hours.ends_at:
        why = f"the deadline has passed: {hours.shown(hours.ends_at)}"
        hint = "run the same command again to go on"
        if hours.stays_over:
            hint = "set `run.deadline` to a later time, then run the same command again"
    else:
        why = f"the deadline has passed: {span(hours.ends_after)} after the start"
        hint = "run the same command again to go on"
    return Stop(why, hint, ExitCode.UNFINISHED)
