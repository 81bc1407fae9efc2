"""The values of the benchmarks: a measure is taken, and gives figures, each with its floor and its goal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.benchmarks.stage import Stage


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should reach: a limit for its value, or for its ratio to the floor."""

    limit: float
    by_ratio: bool = False
    at_least: bool = False
    """Whether more is better."""

    def is_met(self, figure: Figure) -> bool:
        """Whether the figure reaches the goal."""
        reached = figure.ratio if self.by_ratio else figure.value
        return reached is not None and (reached >= self.limit if self.at_least else reached <= self.limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number."""

    name: str
    """Unique, and the same in every run."""
    what: str
    value: float
    unit: str
    floor: float | None = None
    """What the unavoidable part of the work takes, measured in the same run."""
    goal: Goal | None = None
    note: str = ""
    curve: str = ""
    """The curve on which it is a point, if any."""
    size: int = 0
    """The point's place on the curve: how many tasks."""

    @property
    def ratio(self) -> float | None:
        """The figure divided by its floor; machines differ in both, and less in this."""
        return self.value / self.floor if self.floor else None


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that can be measured by itself, giving one figure or several."""

    name: str
    what: str
    take: Callable[[Stage], Iterable[Figure]]
    by_default: bool = True
    """Whether it is taken if no measure is named."""


def at_most(limit: float) -> Goal:
    """The value may be this at most."""
    return Goal(limit)


def at_most_times(limit: float) -> Goal:
    """The value may be so many times the floor at most."""
    return Goal(limit, by_ratio=True)


def at_least(limit: float) -> Goal:
    """The value must be this at least."""
    return Goal(limit, at_least=True)


def at_least_times(limit: float) -> Goal:
    """The value must be so many times the floor at least."""
    return Goal(limit, by_ratio=True, at_least=True)
