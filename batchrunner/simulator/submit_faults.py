"""Answers to submissions: the normal one, and every fault before or after the charge."""

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from aiohttp import web

from batchrunner.simulator import refusal, rendering, video_model
from batchrunner.simulator.answers import edge_fault, invalid_token, json_answer, reset
from batchrunner.simulator.charge import Charge
from batchrunner.simulator.refusal import Denial, Denied
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.submission import MODELS
from batchrunner.simulator.world import World


def fault_before_accept(world: World, request: web.Request, rule: Rule | None) -> web.StreamResponse | None:
    """Apply a fault to a submission that is not charged.

    Returns the answer, or None if the submission continues; raises Denied for the gateway's own refusals.
    """
    if rule is None:
        return None
    refused = _gateway_refusal(world, request, rule)
    if refused is not None:
        raise Denied(refused)
    if rule.do in _EDGE:
        status = _EDGE[rule.do] or rule.status
        world.refusals[f"{status} {rule.body}"] += 1
        return edge_fault(request, replace(rule, status=status))
    if rule.do == "cut_before_accept":
        world.refusals["cut"] += 1
        return reset(request)
    if rule.do == "redirect":
        world.refusals["307"] += 1
        return web.Response(status=307, headers={"Location": f"{world.files_url}{request.path}"})
    if rule.do == "429_empty":
        world.refusals["429"] += 1
        return web.Response(status=429)
    return None


async def accepted_answer(
    world: World, request: web.Request, charge: Charge, rule: Rule | None
) -> web.StreamResponse:
    """Answer a charged submission, correctly or garbled by the fault."""
    body = rendering.accepted(charge)
    fault = rule.do if rule else ""
    if fault == "cut_after_accept":
        return reset(request)
    if rule is not None and fault == "html_502_after_accept":
        return edge_fault(request, rule)
    if fault == "hang_after_accept":
        await world.closing.wait()
        return reset(request)
    if fault == "no_id_after_accept":
        body = {name: value for name, value in body.items() if name not in ("id", "task_id")}
    if fault == "task_id_only":
        body = {"task_id": charge.remote_id}
    raw = rendering.dumps(body)
    # Cut inside the ID: the readable part must not look like a complete one.
    response = json_answer(raw[:30] if fault == "broken_json_after_accept" else raw)
    response.headers["X-New-Api-Other-Ratios"] = "{}"
    return response


def _gateway_refusal(world: World, request: web.Request, rule: Rule) -> Denial | None:
    """The gateway's own message for the fault, in the shape set by the rule; None if it has none."""
    match rule.do:
        case "400":
            usual = Denial(400, "openai", "", "Invalid request: cannot unmarshal string into Go value")
        case "401":
            usual = invalid_token(request)
        case "402":
            usual = refusal.insufficient().refusal
        case "403_quota":
            usual = refusal.user_quota(1000, 700_000).refusal
        case "403_token_quota":
            usual = refusal.token_quota(1000, 700_000).refusal
        case "403_model":
            usual = Denial(403, "openai", "", f"This token has no access to model {MODELS[0]}")
        case "429":
            usual = video_model.busy().refusal
        case "429_retry_after":
            usual = video_model.busy(_retry_after(world, rule)).refusal
        case "503_model":
            usual = Denial(503, "openai", "model_not_found", _NO_CHANNEL)
        case "500_refunded":
            usual = Denial(500, "task", rule.code, _REFUNDED.get(rule.code, "database is locked"))
        case _:
            return None
    return replace(usual, shape=rule.shape or usual.shape)


def _retry_after(world: World, rule: Rule) -> str:
    """Retry-After in seconds, or as a date."""
    if not rule.date:
        return f"{rule.seconds:.0f}"
    return format_datetime(datetime.fromtimestamp(world.now() + rule.seconds, UTC), usegmt=True)


_NO_CHANNEL = f"No available channel for model {MODELS[0]} under group default (distributor)"
_REFUNDED = {
    "do_request_failed": 'Post "https://***.com/***": dial tcp: i/o timeout',
    "fail_to_fetch_task": "The service encountered an unexpected internal error.",
    "invalid_response": "task_id is empty",
    "read_response_body_failed": "unexpected EOF",
    "unmarshal_response_body_failed": "invalid character '<' looking for beginning of value",
}
_EDGE = {"403_html": 403, "500_html": 500, "html_502": None}  # None: as the rule says
