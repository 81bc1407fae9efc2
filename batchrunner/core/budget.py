"""The budget: how much the attempts of a run directory, or of one run, may be charged at most."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from batchrunner.core.text import count

MICROS = 1_000_000
"""Money is added up in millionths of its currency, as integers: sums of fractions are not exact."""


class Per(StrEnum):
    """What a budget is for."""

    RUN = "run"
    """One start of the program."""
    DIRECTORY = "directory"
    """All runs in the run directory together."""


class Figure(StrEnum):
    """What is limited."""

    TOKENS = "tokens"
    COST = "cost"
    TASKS = "tasks"


@dataclass(frozen=True, slots=True)
class Amount:
    """What attempts are, or may be, charged: the gateway's figure where it is known, else the worst case."""

    tokens: int = 0
    cost: int = 0
    """In millionths of the currency."""
    tasks: int = 0
    """Attempts that are, or may be, charged."""

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.cost + other.cost, self.tasks + other.tasks)

    def of(self, figure: Figure) -> int:
        """One of its figures."""
        return int(getattr(self, figure))


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most that one attempt can be charged."""

    tokens: int | None = None
    """None if it was not estimated."""
    cost: float | None = None
    """None if the model has no price, too."""
    currency: str = ""
    """Of the prices, even where the model has none."""
    least_tokens: int = 0
    """A charge of fewer is implausible."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The maximum of one figure."""

    figure: Figure
    most: int
    """Tokens, attempts, or millionths of the currency."""
    per: Per
    source: str = ""
    """Where the user set it: what to change to raise it; empty if running again asks for more."""
    currency: str = ""
    """Of a cost."""
    name: str = "budget"
    """What it is, in words."""
    takes_unpriced: bool = False
    """Whether tasks without a price may be submitted: for a cost, they count as nothing."""
    elsewhere: int | None = None
    """What other runs of the same command have spent or reserved; None if the limit is for one run alone."""

    @property
    def is_of_cost(self) -> bool:
        """Whether it limits money."""
        return self.figure is Figure.COST

    def in_words(self, number: int) -> str:
        """So much of its figure."""
        if self.is_of_cost:
            return f"{number / MICROS:,.2f} {self.currency}".rstrip()
        return count(number, "token" if self.figure is Figure.TOKENS else "submission")


@dataclass(frozen=True, slots=True)
class Budget:
    """All limits of a run."""

    limits: tuple[Limit, ...] = ()
    failures: float | None = None
    """How many tasks may fail before submission stops; below 1, which share of those that ended."""
    per: Per = Per.DIRECTORY
    """Which failures count."""

    @property
    def limits_cost(self) -> bool:
        """Whether it limits money, so that every model needs a price."""
        return any(limit.is_of_cost for limit in self.limits)


@dataclass(frozen=True, slots=True)
class UsedUp:
    """One more task could exceed a limit."""

    limit: Limit
    committed: int
    """Spent, reserved by tasks in flight, and held by doubts; without the task in question."""
    needed: int | None
    """The most that the task can be charged; None if it has no price."""

    @property
    def why(self) -> str:
        """The limit that was reached, in words."""
        most, committed = map(self.limit.in_words, (self.limit.most, self.committed))
        where = "in this run" if self.limit.per is Per.RUN else "in all runs"
        if self.limit.elsewhere is not None:
            where = "by all manifests of this command"
        if self.limit.figure is Figure.TASKS:
            return f"{self.limit.name} of {most} reached: {committed} {where}"
        spent = f"{committed} spent or reserved {where}"
        if self.needed is None:
            return f"{self.limit.name} of {most} can't be kept: {spent}, and the next task has no price"
        needed = self.limit.in_words(self.needed)
        return f"{self.limit.name} of {most} reached: {spent}, and the next task may cost {needed}"

    @property
    def hint(self) -> str:
        """What to do to go on."""
        if not self.limit.source:
            return "run the same command again to see what is still to be submitted, and to confirm it"
        return f"raise {self.limit.source}, then run the same command again"


def room_in(limits: tuple[Limit, ...], committed: Amount) -> list[tuple[Limit, int]]:
    """What each limit leaves to a run that begins; `committed` is that of the whole directory."""
    return [
        (limit, max(0, limit.most - (committed.of(limit.figure) if limit.per is Per.DIRECTORY else 0)))
        for limit in limits
    ]


def micros(amount: float) -> int:
    """An amount of money in millionths of its currency, rounded down: a limit is never exceeded."""
    return int(Decimal(str(amount)) * MICROS)


def first_exceeded(limits: tuple[Limit, ...], before: dict[Per, Amount], needed: Amount) -> UsedUp | None:
    """The first limit that one more attempt, charged `needed` at most, could exceed."""
    for limit in limits:
        committed = before[limit.per].of(limit.figure) + (limit.elsewhere or 0)
        if committed + needed.of(limit.figure) > limit.most:
            return UsedUp(limit, committed, needed.of(limit.figure))
    return None
