"""Identifies a run directory by what was paid for in it, not by its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from batchrunner.core.model import PlannedTask, TaskKey

SIMULATOR = "simulator"
"""What the ledger of a simulated run is tied to, whatever port its simulator has."""


class Address(StrEnum):
    """What an address is to a ledger."""

    OURS = "ours"
    """Its gateway's, or nothing was submitted yet."""
    UNKNOWN = "unknown"
    """Another one: whether the same gateway is there must be shown, or said by a person."""
    OTHER = "other"
    """Never the same: a simulated run's and a real one's."""


def judged_address(offered: str, bound: str, former: Collection[str], submitted: bool) -> Address:
    """What the address `offered` is to a ledger tied to `bound`, whose gateway had the addresses `former`."""
    if not bound or not submitted or offered == bound or offered in former:
        return Address.OURS
    return Address.OTHER if SIMULATOR in (offered, bound) else Address.UNKNOWN


def paid_again(tasks: Iterable[PlannedTask], paid: Mapping[TaskKey, int]) -> int:
    """How many of these tasks would be paid for although `paid` has them, or may have them.

    `paid` counts by the fingerprint of a request: two videos of one request were paid for twice.
    """
    wanted = Counter(task.first or task.key for task in tasks)
    return sum(min(number, paid.get(first, 0)) for first, number in wanted.items())
