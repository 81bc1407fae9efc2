"""What stands between a run and the tasks that it would submit: its budget, its hours, and a question."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from batchrunner.core.budget import Amount, room_in
from batchrunner.core.confirmation import reasons_to_ask
from batchrunner.core.forecast import Forecast
from batchrunner.core.model import Plan
from batchrunner.core.submission.window import out_of_hours
from batchrunner.ledger import Prospect
from batchrunner.manifest import hours_of


@dataclass(frozen=True, slots=True)
class Outlook:
    """What limits a run that is about to begin."""

    reasons: Sequence[str]
    """Why the user must confirm it; empty if that is not necessary."""
    notes: Sequence[str]
    """What it may not submit, and why."""


def outlook(plan: Plan, needed: Forecast, known: Prospect, edited: Sequence[str]) -> Outlook:
    """The outlook of a run that starts now; `edited` are the tasks that are paid for again.

    Raises:
        UsageError: the time zone can't be found.
    """
    wall, notes = time.time(), []
    room = room_in(plan.budget.limits, known.committed or Amount())
    amount = Amount(needed.tokens, needed.micros, needed.tasks)
    for limit, left in room:
        if amount.of(limit.figure) > left:
            notes.append(f"{limit.source} leaves room for {limit.in_words(left)} of it")
    hours = hours_of(plan.settings, wall)
    if not hours.is_open(0.0, wall):
        stop = out_of_hours(hours, 0.0, wall)
        return Outlook((), (*notes, f"nothing is submitted now: {stop.why}; {stop.hint}"))
    most = min((left for limit, left in room if limit.is_of_cost), default=needed.micros)
    above = plan.settings.confirm_above
    return Outlook(reasons_to_ask(above, needed, edited, known.committed, known.confirmed, most), notes)
