"""Which tasks in doubt are submitted again where the manifest says `on_doubt: resubmit`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.model import AttemptId, TaskKey


@dataclass(frozen=True, slots=True)
class Resubmission:
    """What becomes of the doubts for which no run should wait any longer."""

    again: frozenset[TaskKey]
    """Submitted again: the log proves that they were not charged."""
    kept: tuple[Unowned, ...]
    """Still in doubt, though they would be submitted again if the log proved it."""


def resubmission(
    given_up: Sequence[Unowned],
    silent: Collection[AttemptId],
    wanted: Collection[TaskKey],
    max_attempts: int,
) -> Resubmission:
    """Decide: `on_doubt: resubmit` is a person's word, but only for what a working log proves not charged.

    `silent` are the doubts that such a log does not show; `wanted` the tasks that this run may submit.
    """
    mine = [one for one in given_up if one.key in wanted and one.paid_attempts < max_attempts]
    again = frozenset(one.key for one in mine if one.attempt in silent)
    return Resubmission(again, tuple(one for one in mine if one.key not in again))
