"""What submissions will cost and take, before they are made."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from statistics import median_high

from batchrunner.core.budget import MICROS, WorstCase
from batchrunner.core.estimate import REFERENCE_CURRENCY, input_lengths, left_open, video_bytes, worst_case
from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.model import Pricing, Request, TaskKey
from batchrunner.core.overrun import Overruns
from batchrunner.core.rules.limits import Limits


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run needs for the tasks that it would submit, each once."""

    tasks: int
    tokens: int
    """The most that can be charged."""
    micros: int
    """The same as money, in millionths of the currency, of all tasks whose model has a price."""
    currency: str
    disk: int
    """Bytes; a rough upper bound."""
    unpriced: tuple[str, ...]
    """Models without a price, with the resolution."""
    open: tuple[str, ...]
    """What requests leave to the model, so that less may be charged; nothing if the figures are exact."""
    kinds: Mapping[Kind, int]
    """How many tasks there are of each kind."""
    longest: int = 1
    """How many of them must be made one after the other, in the longest chain."""

    @property
    def cost(self) -> float:
        """The money, in the currency."""
        return self.micros / 1_000_000


@dataclass(frozen=True, slots=True)
class _Needs:
    """What one task needs."""

    tokens: int
    micros: int
    disk: int
    unpriced: tuple[str, ...]
    open: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Estimates:
    """What estimates are made from."""

    limits: Limits
    pricing: Pricing
    learned: Overruns = field(default_factory=Overruns)

    def most(self, request: Request) -> WorstCase:
        """The most that an attempt can be charged, as a claim counts it: its money is in whole millionths."""
        worst = worst_case(request, self.limits, self.pricing)
        raised = self.learned.raised(worst)
        return replace(worst, tokens=raised.tokens, cost=None if worst.cost is None else raised.cost / MICROS)


def forecast(requests: Iterable[tuple[Request, int]], estimates: Estimates) -> Forecast:
    """The forecast for these normalised requests, each with the number of its tasks."""
    # Tasks of a kind with equally long input videos need the same: estimated once, not for each request.
    needs: dict[tuple[Kind, tuple[int, ...]], _Needs] = {}
    numbers: Counter[tuple[Kind, tuple[int, ...]]] = Counter()
    for request, times in requests:
        kind = (kind_of(request), input_lengths(request))
        if kind not in needs:
            needs[kind] = _needs(request, estimates)
        numbers[kind] += times
    kinds: Counter[Kind] = Counter()
    for (kind_, _), times in numbers.items():
        kinds[kind_] += times
    found = [(needs[kind], times) for kind, times in numbers.items()]
    return Forecast(
        tasks=numbers.total(),
        tokens=sum(one.tokens * times for one, times in found),
        micros=sum(one.micros * times for one, times in found),
        currency=estimates.pricing.currency or REFERENCE_CURRENCY,
        disk=sum(one.disk * times for one, times in found),
        unpriced=tuple(dict.fromkeys(model for one, _ in found for model in one.unpriced)),
        open=tuple(dict.fromkeys(name for one, _ in found for name in one.open)),
        kinds=kinds,
    )


def _needs(request: Request, estimates: Estimates) -> _Needs:
    worst, limits = estimates.most(request), estimates.limits
    return _Needs(
        tokens=worst.tokens or 0,
        micros=round((worst.cost or 0.0) * MICROS),
        disk=video_bytes(request, limits),
        unpriced=(_priced_by(request),) if worst.cost is None else (),
        open=tuple(left_open(request, limits)),
    )


def _priced_by(request: Request) -> str:
    """What a price is for: the model, and the resolution if the request sets it."""
    metadata = request.get("metadata")
    resolution = metadata.get("resolution") if isinstance(metadata, Mapping) else None
    return f"{request.get('model')} at {resolution}" if resolution else str(request.get("model"))


@dataclass(frozen=True, slots=True)
class GenerationTimes:
    """How long generations usually take, in nominal seconds."""

    of_kind: Mapping[Kind, float]
    of_model: Mapping[str, float]
    default: float

    @classmethod
    def measured(cls, finished: Iterable[tuple[Kind, float]], limits: Limits) -> GenerationTimes:
        """The medians of finished generations; the table's figure for the rest."""
        kinds: dict[Kind, list[float]] = {}
        models: dict[str, list[float]] = {}
        for kind, seconds in finished:
            kinds.setdefault(kind, []).append(seconds)
            models.setdefault(kind.model, []).append(seconds)
        return cls(
            {kind: median_high(times) for kind, times in kinds.items()},
            {model: median_high(times) for model, times in models.items()},
            limits.generation_seconds,
        )

    def of(self, kind: Kind) -> float:
        """The time of a kind: its own if known, else its model's, else the default."""
        return self.of_kind.get(kind, self.of_model.get(kind.model, self.default))


def longest_chain(
    needs: Mapping[TaskKey, Collection[TaskKey]], counts: Callable[[TaskKey], bool] = lambda key: True
) -> int:
    """How many tasks must be made one after the other, at least 1; only those count for which that is true.

    `needs` has the tasks that need others, each with those that it needs.
    """
    lengths: dict[TaskKey, int] = {}
    for key in TopologicalSorter(needs).static_order():
        before = max((lengths[one] for one in needs.get(key, ())), default=0)
        lengths[key] = before + counts(key)
    return max(lengths.values(), default=1) or 1


def wall_time(kinds: Mapping[Kind, int], times: GenerationTimes, slots: int, longest: int = 1) -> float:
    """Nominal seconds until so many tasks of each kind are generated, `slots` at a time.

    The `longest` chain is so many tasks one after the other.
    """
    tasks = sum(kinds.values())
    if not tasks:
        return 0.0
    whole = sum(times.of(kind) * number for kind, number in kinds.items())
    # A slot makes whole videos: 4 tasks take 2 rounds in 3 slots, and no run is shorter than a task.
    rounds = max(math.ceil(tasks / slots), longest)
    return max(rounds * whole / tasks, *map(times.of, kinds))
