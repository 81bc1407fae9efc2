"""Follows the hours of a run: decides again, or ends the run, when the window or the deadline says so."""

from __future__ import annotations

import math
from collections.abc import Callable

from batchrunner.clock import Clock
from batchrunner.core.submission.hours import Hours
from batchrunner.core.submission.window import out_of_hours
from batchrunner.engine.dispatch import Dispatch

LOOK_INTERVAL = 30.0
"""Maximum real seconds between looks at the wall clock: it may be set, and machines sleep."""


async def keep_hours(hours: Hours, clock: Clock, dispatch: Dispatch, detach: Callable[[], None]) -> None:
    """Let admission decide again at each opening and closing; returns only if there are none.

    If the run detaches, its submission ends at the first closing, and `detach` is called.
    """
    was_open = hours.is_open(clock.now(), clock.wall())
    while hours.are_limited:
        left = min(clock.until(hours.changes_at(clock.wall())), _positive(hours.ends_after - clock.now()))
        await clock.sleep(min(left, LOOK_INTERVAL / clock.scale))
        now, wall = clock.now(), clock.wall()
        is_open = hours.is_open(now, wall)
        if hours.detaches and was_open and not is_open:
            dispatch.give_up(out_of_hours(hours, now, wall))
            detach()
        elif is_open is not was_open:
            dispatch.look_again()
        was_open = is_open


def _positive(seconds: float) -> float:
    """The time left until something; infinity if it has passed."""
    return seconds if seconds > 0 else math.inf
