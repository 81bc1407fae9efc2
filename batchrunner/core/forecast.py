"""What submissions will cost and take, before they are made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchrunner.core.content import RequestForm
from batchrunner.core.estimate import REFERENCE_CURRENCY, left_open, video_bytes, worst_case
from batchrunner.core.model import Pricing
from batchrunner.core.rules.limits import Limits


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run needs for the tasks that it would submit, each once."""

    tasks: int
    tokens: int
    """The most that can be charged."""
    cost: float
    """The same, of all tasks whose model has a price."""
    currency: str
    disk: int
    """Bytes; a rough upper bound."""
    unpriced: tuple[str, ...]
    """Models without a price."""
    open: tuple[str, ...]
    """What requests leave to the model, so that less may be charged; nothing if the figures are exact."""


def forecast(forms: Iterable[RequestForm], limits: Limits, pricing: Pricing) -> Forecast:
    """The forecast for tasks with these forms, one for each task."""
    known: dict[int, RequestForm] = {}
    tasks: Counter[int] = Counter()
    for form in forms:
        known[id(form)] = form
        tasks[id(form)] += 1
    tokens, disk, cost = 0, 0, 0.0
    unpriced, open_ = dict[str, None](), dict[str, None]()
    for number, times in tasks.items():
        request = known[number].request(None, None)
        worst = worst_case(request, limits, pricing)
        tokens += times * (worst.tokens or 0)
        disk += times * video_bytes(request, limits)
        cost += times * (worst.cost or 0.0)
        if worst.cost is None:
            unpriced[str(request.get("model"))] = None
        open_ |= dict.fromkeys(left_open(request, limits))
    currency = pricing.currency or REFERENCE_CURRENCY
    return Forecast(tasks.total(), tokens, round(cost, 6), currency, disk, tuple(unpriced), tuple(open_))


def wall_time(tasks: int, generation: float, slots: int) -> float:
    """Seconds until so many tasks are generated, `slots` at a time, each in `generation` seconds."""
    return math.ceil(tasks / slots) * generation


def usual_generation(finished: Sequence[float], limits: Limits) -> float:
    """Seconds of a generation: the median of finished ones, or else the table's figure."""
    ordered = sorted(finished)
    return ordered[len(ordered) // 2] if ordered else limits.generation_seconds
