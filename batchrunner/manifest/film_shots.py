"""Warns of chains whose shots can't be joined to a film, before money is spent on them."""

from __future__ import annotations

from typing import NamedTuple

from batchrunner.core.film_sizes import Look, looks
from batchrunner.core.model import Request
from batchrunner.core.rules.limits import Limits


class PlannedShot(NamedTuple):
    """A shot of a chain."""

    id: str
    looks: frozenset[Look]
    """What its video may look like; empty if that can't be known."""


class Conflict(NamedTuple):
    """Two shots of a film that can't have the same size and frame rate."""

    before: str
    """What the earlier one is, in words."""
    after: str


class FilmShots:
    """The shots of all chains, from the first of each on, by their positions in the plan."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._shots: dict[int, PlannedShot] = {}
        self._before: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._common: dict[int, frozenset[Look]] = {}
        """The looks that a shot and all before it may have; empty if none is known."""
        self._told: set[int] = set()
        """The first shots of chains of which something was told."""

    def begin(self, position: int, task_id: str, request: Request) -> None:
        """Add a shot that continues no other one, unless it was added before."""
        if position not in self._shots:
            self._shots[position] = shot = PlannedShot(task_id, looks(request, self._limits))
            self._first[position], self._common[position] = position, shot.looks

    def add(self, position: int, before: int, task_id: str, request: Request) -> Conflict | None:
        """Add a shot that continues the one at `before`; return two shots that can't be joined, if any.

        Only the first such pair of a chain is returned.
        """
        own, common, first = looks(request, self._limits), self._common[before], self._first[before]
        self._shots[position], self._before[position] = PlannedShot(task_id, own), before
        self._first[position], self._common[position] = first, (common & own or own) if own else common
        if not own or not common or common & own or first in self._told:
            return None
        self._told.add(first)
        return Conflict(_in_words(self._differing(before, own)), _in_words(self._shots[position]))

    def _differing(self, position: int, own: frozenset[Look]) -> PlannedShot:
        """The shot nearest to this one, going back, that can't look like that."""
        at: int | None = position
        while at is not None:
            if (shot := self._shots[at]).looks and not shot.looks & own:
                return shot
            at = self._before.get(at)
        return self._shots[position]


def _in_words(shot: PlannedShot) -> str:
    """A shot with the look that it has, or one of those that it may have."""
    few = sorted(map(str, shot.looks))
    return f"{shot.id} ({few[0] if len(few) == 1 else f'one of {len(few)} sizes, such as {few[0]}'})"
