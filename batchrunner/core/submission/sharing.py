"""Shares an account's slots between the runs of one command, by weight. Plain values in, plain values out.

Shares only matter under contention: whoever is not asking is not compared, so no slot is idle while any run
has a task for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Claim(NamedTuple):
    """A run that could submit a task now."""

    run: int
    """Its number within the command."""
    slots: int
    """How many slots it has."""
    weight: int
    """Its share, in relation to those of the others."""


class Turns:
    """Decides whose turn it is: the run with the fewest slots for its weight.

    Where that is equal, as with fewer slots than runs, turns are given in proportion to the weights; time in
    which a run asked for nothing gives it no advance.
    """

    def __init__(self) -> None:
        self._now = 0.0
        """Grows with each turn; a turn of a run takes 1 / weight."""
        self._free_at: dict[int, float] = {}
        """When each run has used up its last turn."""

    def first(self, claims: Sequence[Claim]) -> Claim:
        """The one whose turn it is, of at least one."""
        return min(claims, key=lambda claim: (claim.slots / claim.weight, self._begin(claim.run), claim.run))

    def took(self, claim: Claim) -> None:
        """This one has taken a slot."""
        self._now = self._begin(claim.run)
        self._free_at[claim.run] = self._now + 1 / claim.weight

    def _begin(self, run: int) -> float:
        return max(self._now, self._free_at.get(run, 0.0))
