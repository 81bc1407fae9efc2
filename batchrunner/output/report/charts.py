"""The report's charts as JSON values: what happened over time, and how long generations took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict

from batchrunner.core.states import TaskState
from batchrunner.core.timeline import InFlight, histogram, timeline
from batchrunner.ledger.gallery import Stay

_STILL_IN_FLIGHT = frozenset({TaskState.SUBMITTING, TaskState.GENERATING})


def charts(stays: Iterable[Stay], now: float) -> dict[str, object]:
    """The series; submissions still in flight last until `now` (Unix seconds), lost ones are left out."""
    found = list(stays)
    currency = next(iter(Counter(stay.currency for stay in found if stay.cost).most_common(1)), ("", 0))[0]
    line = timeline(
        InFlight(
            stay.submitted_at,
            end,
            stay.collected_at,
            stay.cost if stay.cost and stay.currency == currency else 0.0,
        )
        for stay in found
        if (end := _end(stay, now)) is not None
    )
    times = histogram(
        stay.generation_seconds
        for stay in found
        if stay.generation_seconds is not None and stay.collected_at is not None
    )
    return {"timeline": asdict(line), "currency": currency, "times": asdict(times) if times else None}


def _end(stay: Stay, now: float) -> float | None:
    if stay.finished_at is not None:
        return stay.finished_at
    return now if stay.state in _STILL_IN_FLIGHT else None
