"""What a key was charged beyond its usage log: a gateway that dies with a submission in it keeps the hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from batchrunner.core.doubts.adoption import UsageRow, reaches_back


@dataclass(frozen=True, slots=True)
class MeterReading:
    """A key's used quota at one moment."""

    used: int
    """Quota units since the key was made."""
    at: float
    """Unix seconds, by the gateway's clock where it tells it."""


def charged_beyond(first: MeterReading, used: int, rows: Sequence[UsageRow], on_their_way: int) -> int:
    """Quota units by which the used quota grew more than the rows of the usage log account for.

    `on_their_way` submissions may hold quota already, and their rows come later. 0 also where nothing can
    be told: a log that does not reach back, and a row without a quota, may account for any.
    """
    since = [row for row in rows if row.at >= floor(first.at)]
    if not reaches_back(rows, first.at) or any(row.quota is None for row in since):
        return 0
    told = sum(-(row.quota or 0) if row.is_refund else row.quota or 0 for row in since)
    holds = [row.quota for row in rows if row.is_submission and row.quota]
    if on_their_way and not holds:
        return 0
    return max(0, used - first.used - told - on_their_way * max(holds, default=0))
