"""The bodies that the gateway sends, as recorded. Pure."""

import json
import time
from http import HTTPStatus
from typing import Any

from batchrunner.simulator.charge import Charge
from batchrunner.simulator.life import Ending
from batchrunner.simulator.refusal import Denial
from batchrunner.simulator.tasks import Task, upstream_id
from batchrunner.simulator.video_model import FPS, upstream_name

JSON = "application/json; charset=utf-8"
POLL_JSON = "application/json"  # a poll's answer has no charset
HTML_PAGE = "<!doctype html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n"

_NODE = "8268d9d6"  # as recorded; each installation of the gateway has its own

_ERRORS = {
    "failed": ("InternalServiceError", "The service encountered an unexpected internal error."),
    "moderated": (
        "OutputVideoSensitiveContentDetected",
        "The request failed because the output video may contain sensitive information.",
    ),
}
_TIMED_OUT = "任务超时（1440分钟）"
_CHANNEL_LOST = "Failed to get channel info, channel ID: 1"
_OPENAI_STATUS = {
    "NOT_START": "unknown",
    "SUBMITTED": "queued",
    "QUEUED": "queued",
    "IN_PROGRESS": "in_progress",
    "SUCCESS": "completed",
    "FAILURE": "failed",
}


def error_page(status: int) -> str:
    """The page of a web server that answers instead of the gateway."""
    known = status in set(HTTPStatus)  # codes of some CDNs, 520 and above, are not
    title = f"{status} {HTTPStatus(status).phrase if known else 'Error'}"
    return f"<html>\r\n<head><title>{title}</title></head><body>{title}</body></html>\r\n"


def request_id(nanoseconds: int, tail: str) -> str:
    """An ID like the recorded ones: Unix time to the nanosecond, node, and eight letters."""
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(nanoseconds // 10**9))
    return f"{stamp}{nanoseconds % 10**9:09d}{_NODE}{tail}"


def dumps(value: Any) -> bytes:
    """JSON as Go writes it: no spaces, and <, > and & escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("utf-8", "replace")


def refused(refusal: Denial, request_id: str) -> bytes:
    """The body of a refusal, in its shape."""
    if refusal.shape == "task":
        return dumps({"code": refusal.code, "message": refusal.message, "data": None})
    if refusal.shape == "proxy":
        return dumps({"error": {"message": refusal.message, "type": refusal.code}})
    message = f"{refusal.message} (request id: {request_id})"
    return dumps({"error": {"code": refusal.code, "message": message, "type": "new_api_error"}})


def accepted(charge: Charge) -> dict[str, Any]:
    """The answer to an accepted submission."""
    return {
        "id": charge.remote_id,
        "task_id": charge.remote_id,
        "object": "video",
        "model": charge.model,
        "status": "queued",
        "progress": 0,
        "created_at": int(charge.at),
    }


def task_dto(task: Task, files_url: str) -> dict[str, Any]:
    """The gateway's own form of a task."""
    charge, phase = task.charge, task.phase
    reason = fail_reason(task)
    # A failed task shows the reason instead of the URL, as the real gateway does.
    url = video_url(charge, files_url) if phase.status == "SUCCESS" else reason
    created = int(charge.at)
    dto: dict[str, Any] = {
        "id": charge.ordinal,
        "created_at": created,
        "updated_at": int(phase.at),
        "task_id": charge.remote_id,
        "platform": "45",
        "user_id": 1,
        "group": "default",
        "channel_id": 1,
        "quota": task.cost,
        "action": "generate",
        "status": phase.status,
        "fail_reason": reason,
        "result_url": url,
        "submit_time": created,
        "start_time": int(task.started_at),
        "finish_time": int(phase.at) if phase.final else 0,
        "progress": phase.progress,
        "properties": {
            "input": "",
            "upstream_model_name": upstream_name(charge.model),
            "origin_model_name": charge.model,
        },
        "data": _upstream_body(task, files_url),
    }
    if not url:
        del dto["result_url"]
    return dto


def with_link_in_fail_reason(dto: dict[str, Any]) -> dict[str, Any]:
    """A finished task as shown by older gateways: the link only in `fail_reason`."""
    if dto["status"] != "SUCCESS":
        return dto
    data = dto["data"] | {"content": {k: v for k, v in dto["data"]["content"].items() if k != "video_url"}}
    older = dto | {"fail_reason": dto["result_url"], "data": data}
    del older["result_url"]
    return older


def openai_video(task: Task, files_url: str) -> dict[str, Any]:
    """The OpenAI form of a task."""
    charge, phase = task.charge, task.phase
    video: dict[str, Any] = {
        "id": charge.remote_id,
        "task_id": charge.remote_id,
        "object": "video",
        "model": charge.model,
        "status": _OPENAI_STATUS[phase.status],
        "progress": int(phase.progress.rstrip("%")),
        "created_at": int(charge.at),
        "completed_at": int(phase.at),
    }
    if phase.upstream == "failed":
        code, message = _error(charge)
        video["error"] = {"message": message, "code": code}
    url = video_url(charge, files_url) if phase.status == "SUCCESS" else ""
    return {**video, "metadata": {"url": url}}


def video_url(charge: Charge, files_url: str) -> str:
    """The temporary link to a finished video, on the file server."""
    return f"{files_url}/files/{upstream_id(charge)}.mp4?{signature(charge)}"


def last_frame_url(charge: Charge, files_url: str) -> str:
    """The temporary link to its last frame."""
    return f"{files_url}/files/{upstream_id(charge)}.jpeg?{signature(charge)}"


def signature(charge: Charge) -> str:
    """The query that the file server checks."""
    return f"X-Tos-Expires=86400&X-Tos-Signature={charge.body_sha256}{charge.remote_id[-8:]}"


def _error(charge: Charge) -> tuple[str, str]:
    """Code and message of a generation that failed upstream."""
    if charge.life.ending is not Ending.UNREADABLE:
        return _ERRORS[charge.life.ending]
    kind, status = charge.unreadable
    name = kind.removesuffix("_url")
    return "InvalidParameter", f"Error while downloading {name}, error: status code {status}"


def fail_reason(task: Task) -> str:
    """Why a task failed; "" if it has not."""
    if task.phase.status != "FAILURE":
        return ""
    if task.life.ending is Ending.CHANNEL_LOST:
        return _CHANNEL_LOST
    return _error(task.charge)[1] if task.phase.upstream == "failed" else _TIMED_OUT


def _upstream_body(task: Task, files_url: str) -> dict[str, Any]:
    """The upstream's last answer about a task, verbatim."""
    charge, phase = task.charge, task.phase
    if phase.upstream is None:
        return {"id": upstream_id(charge)}
    if phase.upstream == "error":
        code, message = _ERRORS["failed"]
        return {"error": {"code": code, "message": message, "param": "", "type": "InternalServerError"}}
    options = charge.options
    body: dict[str, Any] = {
        "created_at": int(charge.asked_at),
        "execution_expires_after": options["execution_expires_after"],
        "id": upstream_id(charge),
        "model": upstream_name(charge.model),
        "service_tier": options["service_tier"],
        "status": phase.upstream,
        "updated_at": int(phase.asked_at),
    }
    if phase.upstream == "failed":
        code, message = _error(charge)
        body["error"] = {"code": code, "message": message}
    if phase.upstream == "succeeded":
        body |= _made(charge, files_url)
    return dict(sorted(body.items()))


def _made(charge: Charge, files_url: str) -> dict[str, Any]:
    content = {"video_url": video_url(charge, files_url)}
    if charge.options["return_last_frame"]:
        content["last_frame_url"] = last_frame_url(charge, files_url)
    length = {"frames": charge.frames} if charge.duration is None else {"duration": charge.duration}
    return {
        "content": content,
        "draft": charge.options["draft"],
        **length,
        "framespersecond": FPS,
        "generate_audio": charge.options["generate_audio"],
        "ratio": charge.ratio,
        "resolution": charge.resolution,
        "seed": charge.made_seed,
        "usage": {"completion_tokens": charge.tokens, "total_tokens": charge.tokens},
    }
