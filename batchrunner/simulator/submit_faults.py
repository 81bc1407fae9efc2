"""What a submission is answered: the ordinary answer, and every fault before or after the charge."""

from aiohttp import web

from batchrunner.simulator import model, refusal, wire
from batchrunner.simulator.charge import Charge
from batchrunner.simulator.refusal import Refusal, Refused
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.submission import MODELS
from batchrunner.simulator.world import World, edge_answer, invalid_token, json_answer, reset


def fault_before_accept(world: World, request: web.Request, rule: Rule | None) -> web.StreamResponse | None:
    """Let a fault befall a submission that is not charged.

    Returns the answer, or None where the submission goes on; raises Refused for the gateway's own refusals.
    """
    if rule is None:
        return None
    refusals = _gateway_refusals(request, rule)
    if rule.do in refusals:
        raise Refused(refusals[rule.do])
    if rule.do in _EDGE:
        status, html = _EDGE[rule.do]
        world.refusals[f"{status} html"] += 1
        return edge_answer(request, status, html)
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
    """Answer a submission that is charged, whole or as the fault garbles it."""
    body = wire.accepted(charge)
    fault = rule.do if rule else ""
    if fault == "cut_after_accept":
        return reset(request)
    if fault == "html_502_after_accept":
        return edge_answer(request, 502, wire.HTML_502)
    if fault == "hang_after_accept":
        await world.closing.wait()
        return reset(request)
    if fault == "no_id_after_accept":
        body = {name: value for name, value in body.items() if name not in ("id", "task_id")}
    if fault == "task_id_only":
        body = {"task_id": charge.remote_id}
    raw = wire.dumps(body)
    # Cut within the id: what can be read of it must not pass for one.
    response = json_answer(raw[:30] if fault == "broken_json_after_accept" else raw)
    response.headers["X-New-Api-Other-Ratios"] = "{}"
    return response


def _gateway_refusals(request: web.Request, rule: Rule) -> dict[str, Refusal]:
    no_channel = f"No available channel for model {MODELS[0]} under group default (distributor)"
    no_upstream = 'Post "https://***.com/***": dial tcp: i/o timeout'
    return {
        "401": invalid_token(request),
        "402": Refusal(402, "openai", "insufficient_user_quota", "insufficient user quota"),
        "403_quota": refusal.user_quota(1000, 700_000).refusal,
        "403_token_quota": refusal.token_quota(1000, 700_000).refusal,
        "429": model.busy().refusal,
        "429_retry_after": model.busy(f"{rule.seconds:.0f}").refusal,
        "503_model": Refusal(503, "openai", "model_not_found", no_channel),
        "500_refunded": Refusal(500, "task", "do_request_failed", no_upstream),
    }


_EDGE = {
    "403_html": (403, wire.HTML_403),
    "500_html": (500, wire.HTML_500),
    "html_502": (502, wire.HTML_502),
}
