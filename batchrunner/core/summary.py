"""A run's summary and exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    put_off = stop is not None and stop.exit_code == ExitCode.UNFINISHED
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

    @property
    def what(self) -> str:
        """The model and the resolution."""
        return f"{self.model} at {self.resolution}" if self.resolution else self.model

    @property
    def differs(self) -> bool:
        """Whether it is not the expected one."""
        return abs(self.charged - self.expected) > PRICE_TOLERANCE * self.expected


@dataclass(frozen=True, slots=True)
class Summary:
    """The result of a run."""

    counts: Mapping[TaskState, int]
    """Planned tasks by state."""
    blocked: int = 0
    """How many of the pending ones need a task that failed: they wait for the user."""
    stop: Stop | None = None
    """What stopped submission for good, if anything."""
    signal: int = 0
    """The signal that ended the run, or 0."""
    storage: str = ""
    """What could not be written, if anything."""
    spent: Spent = Spent()
    """On all attempts in the ledger."""
    prices: tuple[PriceSeen, ...] = ()
    """The gateway's own prices, as far as it shows them."""
    own_prices: frozenset[str] = frozenset()
    """The models whose price the manifest gives."""
    idle: bool = False
    """There was nothing to do; no request was made."""
    missing: int = 0
    """Files of finished videos that were to be downloaded again but could not be."""
    mistaken: bool = False
    """The user's input is wrong: what was paid for was collected, and nothing was submitted."""
    tasks: Sequence[Mapping[str, object]] = ()
    """The rows of results.csv, where whoever started the run wants them."""

    @property
    def unfinished(self) -> bool:
        """Whether another run would go on with tasks, without a decision of the user."""
        return sum(self.counts.get(state, 0) for state in UNFINISHED) > self.blocked

    @property
    def exit_code(self) -> int:
        """The first of these that applies: stopped by a signal (128 + its number), 5 storage, 2 mistaken,
        4 account, 2 an outdated ledger, 3 in doubt, 75 unfinished, 1 failed or not collected, 0 all done.

        A mistake takes precedence over how far collecting got: until it is fixed, the same command submits
        nothing.

        After a stop because of rejections, the remaining tasks need the user (1), not another run (75).
        """
        if self.signal:
            return 128 + self.signal
        if self.storage or (self.stop and self.stop.exit_code == ExitCode.STORAGE):
            return ExitCode.STORAGE
        if self.mistaken:
            return ExitCode.USAGE
        if self.stop and self.stop.exit_code == ExitCode.ACCOUNT:
            return ExitCode.ACCOUNT
        if self.stop and self.stop.exit_code == ExitCode.USAGE:
            return ExitCode.USAGE
        if self.counts.get(TaskState.IN_DOUBT):
            return ExitCode.IN_DOUBT
        if self.stop and self.stop.exit_code == ExitCode.FAILED:
            return ExitCode.FAILED
        if self.unfinished:
            return ExitCode.UNFINISHED
        if self.counts.get(TaskState.FAILED) or self.counts.get(TaskState.UNCOLLECTED) or self.missing:
            return ExitCode.FAILED
        return ExitCode.DONE
