"""Reads the usage log and polled tasks as evidence for `core.doubts`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchrunner.core.doubts.adoption import Sighting, UsageRow
from batchrunner.core.doubts.metering import MeterReading
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import QueryFailed, QueryRefused, UsageLog, UsageOutcome
from batchrunner.core.settlement import MOST_QUOTA
from batchrunner.gateway import wire
from batchrunner.gateway.reading import as_dict, as_int, as_number, as_object, as_text
from batchrunner.gateway.wire import Answer

CONSUMED = 2
"""The type of rows for charges."""
REFUNDED = 6
"""The type of rows for refunds."""


def usage_outcome(answer: Answer) -> UsageOutcome:
    """Interpret an answer to `GET /api/log/token`."""
    receipt = wire.receipt_of(answer)
    body = as_object(answer.body)
    rows = body.get("data")
    if answer.status == 200 and body.get("success") is not False and isinstance(rows, list):
        return UsageLog(tuple(_row(as_dict(row)) for row in rows))
    if answer.status in (401, 403, 404, 405):
        return QueryRefused(receipt)
    return QueryFailed(receipt, answer.retry_after)


def meter_reading(answer: Answer, now: float) -> MeterReading | QueryFailed | None:
    """The key's usage in an answer to `GET /api/usage/token/`, at the answer's Unix time or else `now`.

    None if this gateway doesn't report it: it says in JSON that it has no such route, or answers without
    the number. Everything else is a failure, which proves nothing.
    """
    body = as_object(answer.body)
    data, is_ok = body.get("data"), answer.status == 200 and body.get("success") is not False
    used = as_int(as_dict(data).get("total_used"))
    if is_ok and used is not None and 0 <= used < MOST_QUOTA:
        return MeterReading(used, answer.date or now)
    has_no_number = is_ok and isinstance(data, dict) and "total_used" not in data
    if wire.is_json(answer) and (answer.status in (404, 405) or has_no_number):
        return None
    return QueryFailed(wire.receipt_of(answer), answer.retry_after)


def _row(row: Mapping[str, Any]) -> UsageRow:
    other = as_object(as_text(row.get("other")))
    return UsageRow(
        at=as_number(row.get("created_at")) or 0.0,
        model=as_text(row.get("model_name")),
        request_id=as_text(row.get("request_id")),
        remote_id=RemoteId(as_text(other.get("task_id"))) if as_text(other.get("task_id")) else None,
        is_submission=as_int(row.get("type")) == CONSUMED and other.get("is_task") is True,
        quota=as_int(row.get("quota")),
        is_refund=as_int(row.get("type")) == REFUNDED,
    )


def sighting(answer: Answer, remote_id: RemoteId) -> Sighting | None:
    """What a poll shows of a task; None if it is not about this task."""
    task = as_dict(as_object(answer.body).get("data"))
    if answer.status != 200 or as_text(task.get("task_id")) != remote_id:
        return None
    made = as_dict(task.get("data"))
    return Sighting(
        remote_id=remote_id,
        model=as_text(as_dict(task.get("properties")).get("origin_model_name")),
        seed=as_int(made.get("seed")),
        duration=as_int(made.get("duration")),
        resolution=as_text(made.get("resolution")) or None,
        submitted_at=as_number(task.get("submit_time")),
        ratio=as_text(made.get("ratio")) or None,
        succeeded=_ending(as_text(task.get("status")).lower()),
        status=as_text(task.get("status"))[:40],
    )


def _ending(status: str) -> bool | None:
    return True if status in wire.SUCCESS_WORDS else False if status in wire.FAILURE_WORDS else None
