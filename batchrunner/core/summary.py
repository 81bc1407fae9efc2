"""Figures of a run: how many tasks are in each state, what they cost, and whether its stop matters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from batchrunner.core.errors import ExitCode
from batchrunner.core.states import TaskState
from batchrunner.core.submission.decision import Stop

UNFINISHED = frozenset({TaskState.PENDING, TaskState.SUBMITTING, TaskState.GENERATING, TaskState.COLLECTING})


class Tally:
    """How many tasks are in each state, kept up to date from the ledger's events."""

    def __init__(self, counts: Mapping[TaskState, int]) -> None:
        self._counts = dict(counts)

    def moved(self, before: TaskState, after: TaskState) -> None:
        """Count a task's transition from one state to another."""
        self._counts[before] -= 1
        self._counts[after] += 1

    def __getitem__(self, state: TaskState) -> int:
        return self._counts.get(state, 0)

    def counts(self) -> dict[TaskState, int]:
        """All of them, as they are now."""
        return dict(self._counts)

    def total(self) -> int:
        """The number of all tasks."""
        return sum(self._counts.values())


def still_matters(stop: Stop | None, counts: Mapping[TaskState, int]) -> Stop | None:
    """The stop, unless it only put off what turned out to be finished without it."""
    put_off = stop is not None and (stop.is_partial or stop.exit_code == ExitCode.UNFINISHED)
    return None if put_off and not any(counts.get(state) for state in UNFINISHED) else stop


@dataclass(frozen=True, slots=True)
class Spent:
    """The cost of attempts."""

    tokens: int = 0
    """As far as known."""
    cost: Mapping[str, float] = field(default_factory=dict)
    """By currency, as far as known."""
    unknown: int = 0
    """Attempts that are, or may be, charged but whose cost is not known (yet)."""
    unpriced: int = 0
    """Attempts whose tokens are known, but not their price."""
    estimated_tokens: int | None = None
    """The most that `tokens` was to be, by the estimates; None if some have none."""
    estimated_cost: Mapping[str, float] = field(default_factory=dict)
    """The same for `cost`, in the currencies where all have an estimate."""


PRICE_TOLERANCE = 0.02
"""How much a price may differ from the expected one, as a share of it, without being named."""


@dataclass(frozen=True, slots=True)
class PriceSeen:
    """What the gateway itself charged, on average, in USD per million tokens, beside an expected price."""

    model: str
    resolution: str
    """Empty if the requests don't set it."""
    charged: float
    expected: float
    """By the manifest's prices in USD, or the list prices."""
    with_video: bool = False
    """Whether the requests have a video among their inputs."""

    @property
    def what(self) -> str:
        """The model, the resolution, and whether a video is among the inputs."""
        model = f"{self.model} at {self.resolution}" if self.resolution else self.model
        return f"{model} with an input video" if self.with_video else model

    @property
    def differs(self) -> bool:
        """Whether it is not the expected one, which is an upper bound for requests with an input video."""
        more = self.charged - self.expected
        return (more if self.with_video else abs(more)) > PRICE_TOLERANCE * self.expected
