"""Identifies a run directory by what was paid for in it, not by its path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchrunner.core.model import PlannedTask, TaskKey


SIMULATOR = "simulator"
"""The address that the ledger of a simulated run is bound to, regardless of the simulator's port."""


class Address(StrEnum):
    """How an address relates to a ledger."""

    OURS = "ours"
    """An address of the ledger's gateway, or nothing has been submitted yet."""
    UNKNOWN = "unknown"
    """A different address: that it is the same gateway must be verified, or confirmed by the user."""
    OTHER = "other"
    """Certainly another gateway: one of the two is simulated, the other is real."""


def judged_address(offered: str, bound: str, former: Collection[str], submitted: bool) -> Address:
    """How the address `offered` relates to a ledger bound to `bound`; `former` are its gateway's old ones."""
    if not bound or not submitted or offered == bound or offered in former:
        return Address.OURS
    return Address.OTHER if SIMULATOR in (offered, bound) else Address.UNKNOWN


def paid_again(wanted: Mapping[TaskKey, int], paid: Mapping[TaskKey, int]) -> int:
    """How many tasks would be paid for again: `paid` counts what was, or may have been, paid for.

    Both are by request fingerprint: two videos of one request were paid for twice.
    """
    return sum(min(number, paid.get(first, 0)) for first, number in wanted.items())


def wanted_again(tasks: Iterable[PlannedTask], paid: Container[TaskKey]) -> Counter[TaskKey]:
    """How often these tasks ask for each of the requests in `paid`."""
    return Counter(task.first for task in tasks if task.first in paid)
