"""Detects charges missing from the usage log: a gateway that dies during a submission keeps the hold."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from math import floor

from batchrunner.core.doubts.adoption import UsageRow, reaches_back


@dataclass(frozen=True, slots=True)
class MeterReading:
    """A key's used quota at one moment."""

    used: int
    """Quota units since the key was created."""
    at: float
    """Unix seconds, by the gateway's clock if it reports the time."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Quota units charged to a key beyond its log."""

    certain: int = 0
    possible: int = 0
    """The maximum, if submissions unanswered at the time account for none of it."""
    is_known: bool = True
    """False if it could not be read this time."""

    @property
    def may_be(self) -> bool:
        """Whether something may have been charged that the log doesn't show."""
        return not self.is_known or self.possible > 0


def charged_beyond(
    first: MeterReading,
    before: int,
    after: int,
    rows: Sequence[UsageRow],
    on_their_way: int,
    later: Container[str] = (),
) -> Beyond:
    """How much the used quota grew beyond what the rows of the usage log account for.

    It was `before` just before the log was read, and `after` just after; `on_their_way` submissions may hold
    quota already, but get their rows later. `later` are request IDs and remote IDs of what was certainly
    submitted after the first reading. If rows are missing, or have no quota, nothing is known.
    """
    since = [row for row in rows if row.at >= floor(first.at) - 1]
    if not reaches_back(rows, first.at) or any(row.quota is None for row in since):
        return Beyond(is_known=False)
    # Rows have whole seconds: the first reading may or may not include rows of the same second.
    unsure = [
        row
        for row in since
        if row.at < floor(first.at) + 1 and row.request_id not in later and row.remote_id not in later
    ]
    told = sum(map(_grown_by, since))
    most_told = told - sum(min(0, _grown_by(row)) for row in unsure)
    least_told = told - sum(max(0, _grown_by(row)) for row in unsure)
    holds = [row.quota for row in rows if row.is_submission and row.quota]
    # What was charged or refunded while the log was read is in only one of the two readings.
    least, most = min(before, after) - first.used - most_told, max(before, after) - first.used - least_told
    certain = 0 if on_their_way and not holds else max(0, least - on_their_way * max(holds, default=0))
    return Beyond(certain, max(0, most))


def _grown_by(row: UsageRow) -> int:
    """How much a row increased the used quota."""
    return -(row.quota or 0) if row.is_refund else row.quota or 0
