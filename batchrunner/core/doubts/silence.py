"""Decides when a submission's absence from the usage log proves that it was not charged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from batchrunner.core.doubts.adoption import Unowned, UsageRow, reaches_back
from batchrunner.core.doubts.metering import Beyond
from batchrunner.core.model import AttemptId
from batchrunner.core.text import count

UNREAD = Beyond(is_known=False)
"""Used for a process that never read its key's used quota."""


@dataclass(frozen=True, slots=True)
class Witness:
    """An accepted submission of ours: a log that doesn't show it is not the log of its key."""

    attempt: AttemptId
    process: str
    """The process that submitted it; one process has one key."""
    request_id: str
    """The gateway's ID of the HTTP request; empty if it sent none."""
    accepted_at: float
    """Unix seconds."""
    remote_id: str = ""


def why_unproven(
    doubt: Unowned,
    rows: Sequence[UsageRow],
    witnesses: Iterable[Witness],
    latest: float,
    beyond: Beyond = UNREAD,
) -> str:
    """Why a doubt's absence from the log proves nothing; empty if it proves that it was not charged.

    It does if the log shows everything that the doubt's own process, and so its key, got accepted since then,
    within `latest` real seconds, including a later submission, and the key was charged nothing `beyond` the
    log. Otherwise the log may be off, be another key's, or lack what was in the gateway when it died.
    """
    if not reaches_back(rows, doubt.earliest):
        return "the log doesn't go back that far"
    if beyond.certain:
        units = f"{beyond.certain:,} quota units"
        return f"its key was charged {units} that the log doesn't show, so it may be charged"
    inside = [
        one
        for one in witnesses
        if doubt.process
        and one.process == doubt.process
        and doubt.submitted_at <= one.accepted_at <= doubt.submitted_at + latest
    ]
    if not any(one.attempt > doubt.attempt for one in inside):
        return "the same run had no later submission accepted, so nothing shows that the log works"
    if any(not one.request_id for one in inside):
        return "its rows have no submission IDs to identify ours"
    shown = {row.request_id for row in rows if row.is_submission}
    if missing := [one for one in inside if one.request_id not in shown]:
        told = count(len(missing), "submission")
        return f"it lacks {told} of ours accepted since then: it belongs to another key, or was switched off"
    if beyond.may_be:
        why = "is ahead of the log" if beyond.is_known else "can't be read at the moment"
        return f"its key's used quota {why}, so it may have been charged"
    return ""
