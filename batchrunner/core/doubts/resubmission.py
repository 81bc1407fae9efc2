"""Decides which tasks in doubt to resubmit if the manifest says `on_doubt: resubmit`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.model import AttemptId, TaskKey


@dataclass(frozen=True, slots=True)
class Resubmission:
    """The decision about doubts that no run should wait for any longer."""

    again: frozenset[TaskKey]
    """To resubmit: the log proves that they were not charged."""
    kept: tuple[Unowned, ...]
    """Still in doubt; they would be resubmitted if the log proved it."""


def resubmission(
    given_up: Sequence[Unowned],
    silent: Collection[AttemptId],
    wanted: Collection[TaskKey],
    max_attempts: int,
) -> Resubmission:
    """Decide under `on_doubt: resubmit`, which applies only if a working log proves that nothing was charged.

    `silent` are the doubts that such a log does not show; `wanted` the tasks that this run may submit.
    """
    mine = [one for one in given_up if one.key in wanted and one.paid_attempts < max_attempts]
    again = frozenset(one.key for one in mine if one.attempt in silent)
    return Resubmission(again, tuple(one for one in mine if one.key not in again))
