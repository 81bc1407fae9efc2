"""Converts between JSON on the wire and plain types: builds request bodies and interprets answers.

Answers are classified by phase and shape, never by message text: messages are localised.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from batchrunner.core.model import MediaFile, RemoteId, Request, RequestValue, TaskOutput
from batchrunner.core.outcome import (
    NOT_VISIBLE,
    Accepted,
    AccountFault,
    AccountRefused,
    Echo,
    GenerationFailed,
    InProgress,
    NotAdmitted,
    NotVisible,
    PollOutcome,
    QueryFailed,
    QueryRefused,
    Receipt,
    Refusal,
    Rejected,
    SubmitOutcome,
    Succeeded,
    Unknown,
)
from batchrunner.core.redaction import redacted, redacted_beginning
from batchrunner.gateway.reading import as_dict, as_int, as_number, as_object, as_text, as_url, tokens_of

BALANCE_CODES = frozenset({"insufficient_user_quota", "pre_consume_token_quota_failed"})
BUSY_CODES = frozenset(
    {"get_channel_failed", "update_data_error", "query_data_error", "gen_relay_info_failed"}
    | {"setup_locked_channel_failed", "fail_to_fetch_task"}
)
REFUNDED_CODES = frozenset(
    {"do_request_failed", "invalid_response", "read_response_body_failed", "unmarshal_response_body_failed"}
)
UNCLEAR = frozenset({408, 409, 425, 499})
"""Statuses that leave open whether the request was processed, no matter who sends them."""
UPSTREAM_REFUSED = "fail_to_fetch_task"
"""Code of an error that the gateway passes on from the model, with its status and text."""

SUCCESS_WORDS = frozenset({"success", "succeeded", "completed"})
FAILURE_WORDS = frozenset({"failure", "failed", "error", "cancelled", "canceled", "expired"})
MESSAGE_LENGTH = 2000
LONGEST_RETRY_AFTER = 3600.0
ABSURD_RETRY_AFTER = 86400.0
"""Nobody means more seconds than this."""


@dataclass(frozen=True, slots=True)
class RequestBody:
    """A request body without its seed, which is chosen when the task is claimed."""

    head: bytes
    tail: bytes

    def with_seed(self, seed: int | None) -> bytes:
        """The bytes to send."""
        if seed is None:
            return self.head + self.tail
        comma = b"" if self.head.endswith(b"{") else b", "
        return b"".join((self.head, comma, b'"seed": %d' % seed, self.tail))


def encode(request: Request, address: Callable[[MediaFile | TaskOutput], str]) -> RequestBody:
    """Build the body of a normalised request, without its seed.

    A duration of 1 second or more is sent in three fields, because gateways differ in which one they
    read; -1 (the model chooses) only in `metadata.duration`. `address` turns local files and other tasks'
    outputs into URLs; its exceptions are passed on. With inputs it may be slow: not for the event loop.
    """
    body = {name: _on_wire(value, address) for name, value in request.items() if name != "metadata"}
    given = request.get("metadata")
    metadata = dict(given) if isinstance(given, Mapping) else {}
    metadata.pop("seed", None)
    duration = metadata.get("duration")
    if isinstance(duration, int) and duration >= 1:
        body |= {"duration": duration, "seconds": str(duration)}
    text = json.dumps(
        body | {"metadata": {name: _on_wire(value, address) for name, value in metadata.items()}},
        ensure_ascii=False,
    )
    return RequestBody(text[:-2].encode(), b"}}")


def _on_wire(value: RequestValue, address: Callable[[MediaFile | TaskOutput], str]) -> object:
    if isinstance(value, MediaFile | TaskOutput):
        return address(value)
    if isinstance(value, Mapping):
        return {name: _on_wire(item, address) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_on_wire(item, address) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    body: bytes
    request_id: str = ""
    retry_after: float | None = None
    date_header: str = ""

    @property
    def date(self) -> float | None:
        """When it was sent, in Unix seconds by the gateway's clock; None if it doesn't say."""
        return http_date(self.date_header)


@dataclass(frozen=True, slots=True)
class _Said:
    """A parsed body: its shape, the gateway's code, and the most specific code and message."""

    body: Mapping[str, Any]
    """Empty if it is not a JSON object."""
    is_task_error: bool
    gateway_code: str
    receipt: Receipt


def submit_outcome(answer: Answer) -> SubmitOutcome:
    """Interpret an answer to a POST; anything ambiguous is unknown."""
    said = _said(answer)
    code, receipt, status = said.gateway_code, said.receipt, answer.status
    if 200 <= status < 300:
        remote_id = as_text(said.body.get("task_id")) or as_text(said.body.get("id"))
        if remote_id:
            return Accepted(RemoteId(remote_id), receipt)
        return Unknown(replace(receipt, code="no_task_id", message=_first_words(answer.body)))
    if status == 429:
        return NotAdmitted(Refusal.THROTTLED, receipt, answer.retry_after)
    if status == 503 and code == "model_not_found":
        return NotAdmitted(Refusal.MODEL_UNAVAILABLE, receipt)
    if code == "build_request_failed":
        return Rejected(receipt)
    if fault := _account_fault(status, said):
        return AccountRefused(fault, receipt)
    if status in (400, 413, 422):
        return Rejected(receipt)
    if said.is_task_error and code == UPSTREAM_REFUSED and 400 < status < 500 and status not in UNCLEAR:
        return Rejected(receipt)
    if said.is_task_error and status >= 500 and code in BUSY_CODES:
        return NotAdmitted(Refusal.GATEWAY_BUSY, receipt, answer.retry_after)
    if said.is_task_error and status >= 500 and code in REFUNDED_CODES:
        return NotAdmitted(Refusal.REFUNDED, receipt)
    return Unknown(receipt)


def _account_fault(status: int, said: _Said) -> AccountFault | None:
    if status not in (401, 402, 403, 404, 405):
        return None
    if said.gateway_code == UPSTREAM_REFUSED:
        return AccountFault.OPERATOR
    if status == 402 or said.gateway_code in BALANCE_CODES:
        return AccountFault.BALANCE
    if status in (404, 405) or (status == 403 and not said.body):
        return AccountFault.ADDRESS
    if status == 403 and not said.gateway_code:
        return AccountFault.MODEL
    return AccountFault.KEY


def poll_outcome(answer: Answer, remote_id: str = "") -> PollOutcome:
    """Interpret an answer to a poll of `remote_id`; an unintelligible one says nothing about the task.

    Neither does an answer that names another task, or a flat one that names none.
    """
    said = _said(answer)
    if answer.status in (401, 403):
        return QueryRefused(said.receipt)
    if said.gateway_code == NOT_VISIBLE:
        return NotVisible(said.receipt)
    body = said.body
    if answer.status != 200 or not body:
        return QueryFailed(said.receipt, answer.retry_after)
    is_flat = "status" in body and "data" not in body
    task = body if is_flat else as_dict(body.get("data"))
    named = as_text(task.get("task_id")) or (as_text(task.get("id")) if is_flat else "")
    if remote_id and named != remote_id and (named or is_flat):
        return QueryFailed(
            replace(said.receipt, code="another_task", message=f"the answer is about {named!r}")
        )
    return _task_outcome(task, redacted(answer.body.decode(errors="replace")))  # it may repeat signed links


def _task_outcome(task: Mapping[str, Any], raw: str) -> PollOutcome:
    upstream = as_dict(task.get("data"))
    upstream_status = as_text(upstream.get("status"))
    status = as_text(task.get("status"))
    finished = as_number(task.get("finish_time")) or as_number(task.get("finished_at"))
    if status.lower() in SUCCESS_WORDS:
        content, usage = as_dict(upstream.get("content")), as_dict(upstream.get("usage"))
        return Succeeded(
            # Older gateways have no field for the link and put it in `fail_reason`.
            result_url=as_url(task.get("result_url"))
            or as_url(content.get("video_url"))
            or as_url(as_dict(task.get("metadata")).get("url"))
            or as_url(task.get("fail_reason")),
            last_frame_url=as_url(content.get("last_frame_url")),
            tokens=tokens_of(usage),
            finished_at=finished,
            echo=Echo(
                duration=as_int(upstream.get("duration")),
                resolution=as_text(upstream.get("resolution")) or None,
                ratio=as_text(upstream.get("ratio")) or None,
                seed=as_int(upstream.get("seed")),
            ),
            raw=raw,
            quota=as_int(task.get("quota")),
        )
    if status.lower() in FAILURE_WORDS:
        error = as_dict(upstream.get("error")) or as_dict(task.get("error"))
        message = as_text(task.get("fail_reason")) or as_text(error.get("message"))
        code, charged = as_text(error.get("code")), as_int(task.get("quota"))
        return GenerationFailed(code, _told(message), finished, raw, charged=charged)
    return InProgress(status, upstream_status, raw, quota=as_int(task.get("quota")))


def receipt_of(answer: Answer) -> Receipt:
    """The receipt of an answer."""
    return _said(answer).receipt


def models_listed(answer: Answer) -> frozenset[str] | None:
    """The model names in an answer to `GET /v1/models`; None if it is not a model list."""
    data = as_object(answer.body).get("data")
    if answer.status != 200 or not isinstance(data, list):
        return None
    return frozenset(as_text(as_dict(item).get("id")) for item in data) - {""}


def is_json(answer: Answer) -> bool:
    """Whether the body is a JSON object, as in every answer of the gateway itself."""
    return bool(as_object(answer.body))


def retry_after_seconds(header: str | None, now: float) -> float | None:
    """The delay in a Retry-After header (seconds or a date), an hour at most.

    None if there is none, or if it is unusable: negative, a date in the past, more than a day, or not ASCII.
    """
    if not header or not header.isascii():
        return None
    if header.isdecimal():
        seconds = float(header)
    elif (date := http_date(header)) is not None:
        seconds = date - now
    else:
        return None
    return min(seconds, LONGEST_RETRY_AFTER) if 0 <= seconds <= ABSURD_RETRY_AFTER else None


def http_date(header: str | None) -> float | None:
    """A date header in Unix seconds; None if invalid."""
    try:
        date = parsedate_to_datetime(header or "")
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def _said(answer: Answer) -> _Said:
    body = as_object(answer.body)
    error = as_dict(body.get("error"))
    is_task_error = not error and isinstance(body.get("code"), str) and "message" in body
    code = as_text(error.get("code")) if error else as_text(body.get("code"))
    message = as_text(error.get("message")) if error else as_text(body.get("message"))
    upstream = as_dict(as_object(message).get("error")) if message.startswith("{") else {}
    if not body:
        message = f"HTTP {answer.status}: {_first_words(answer.body)}" if answer.status else ""
    told_code = as_text(upstream.get("code")) or ("" if code == "success" else code)
    told = _told(as_text(upstream.get("message")) or message)
    receipt = Receipt(answer.status, answer.request_id, told_code[:200], told)
    return _Said(body, is_task_error, code, receipt)


def _told(message: str) -> str:
    """A message with secrets removed: upstream errors repeat input links, including signatures."""
    return redacted_beginning(message, MESSAGE_LENGTH)


def _first_words(body: bytes) -> str:
    words = " ".join(body.decode(errors="replace").split())
    return redacted_beginning(words, 120) or "an empty answer"
