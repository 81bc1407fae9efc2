"""Routes about a key's spending: usage log, quota, the two billing routes, status page."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from aiohttp import web

from batchrunner.simulator import rendering
from batchrunner.simulator.answers import common_fault, json_answer, too_many, without_gateway
from batchrunner.simulator.api_keys import Key
from batchrunner.simulator.chance import letters
from batchrunner.simulator.faults import BILLING, USAGE
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.scenario import Scenario
from batchrunner.simulator.tasks import Task
from batchrunner.simulator.video_model import model_ratio, upstream_name
from batchrunner.simulator.world import VERSION, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_PER_USD = 500_000  # quota units
_WINDOW = 1200  # nominal seconds of the look-up limit
_NEWEST = 1000  # rows of the usage log
_CONSUME, _REFUND = 2, 6  # types of rows
_PLENTY = 100_000_000  # USD, what an unlimited key shows


class UsageRoutes:
    """The /api routes and the billing pair."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handlers(self) -> Mapping[str, Handler]:
        """The GET handler of each path; the scenario's faults apply to all but the first two."""
        return {
            "/api/status": self._status,
            "/api/usage/token": self._redirect,
            "/api/usage/token/": self._faulty(self._quota),
            "/api/log/token": self._faulty(self._log),
            "/v1/dashboard/billing/subscription": self._faulty(self._subscription, BILLING),
            "/v1/dashboard/billing/usage": self._faulty(self._billing, BILLING),
        }

    def _faulty(self, handler: Handler, on: str = USAGE) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            rule = self._world.pick(on)
            return await handler(request) if rule is None else _fault(request, rule, on)

        return answer

    async def _status(self, _request: web.Request) -> web.StreamResponse:
        """GET /api/status: public."""
        data = {"version": VERSION, "quota_per_unit": _PER_USD, "system_name": "New API", "setup": True}
        return json_answer({"data": data, "message": "", "success": True})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        """GET /api/log/token: the key's newest rows, newest first, and renumbered."""
        key = self._reader(request)
        if isinstance(key, web.Response):
            return key
        world = self._world
        own = [task for task in world.tasks.all() if task.charge.key == key.name and world.scenario.usage_log]
        rows = [row for task in own for row in _rows(task, world.scenario)]
        rows.sort(key=lambda row: row["created_at"])  # stable: rows of the same second keep their order
        newest = [{**row, "id": number} for number, row in enumerate(rows[: -_NEWEST - 1 : -1], 1)]
        return json_answer({"data": newest, "message": "", "success": True})

    async def _redirect(self, request: web.Request) -> web.StreamResponse:
        """GET /api/usage/token: redirects to the path with the slash."""
        body = '<a href="/api/usage/token/">Moved Permanently</a>.\n\n'
        headers = {"Location": "/api/usage/token/"}
        without_gateway(request)
        return web.Response(status=301, text=body, content_type="text/html", charset="utf-8", headers=headers)

    async def _quota(self, request: web.Request) -> web.StreamResponse:
        """GET /api/usage/token/: the key's quota, in units."""
        key = self._reader(request)
        if isinstance(key, web.Response):
            return key
        used = self._world.spent(key.name)
        granted = key.quota or 0
        data = {
            "expires_at": 0,
            "model_limits": dict.fromkeys(key.models or (), True),
            "model_limits_enabled": key.models is not None,
            "name": key.name,
            "object": "token_usage",
            "total_available": granted - used,
            "total_granted": granted,
            "total_used": used,
            "unlimited_quota": key.quota is None,
        }
        return json_answer({"code": True, "data": data, "message": "ok"})

    async def _subscription(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/dashboard/billing/subscription: the total ever granted, in USD."""
        key = self._world.key(request)
        limit = _PLENTY if key.quota is None else _go_float(key.quota / _PER_USD)
        return json_answer(
            {
                "object": "billing_subscription",
                "has_payment_method": True,
                "soft_limit_usd": limit,
                "hard_limit_usd": limit,
                "system_hard_limit_usd": limit,
                "access_until": 0,
            }
        )

    async def _billing(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/dashboard/billing/usage: the amount used, in US cents."""
        key = self._world.key(request)
        used = self._world.spent(key.name)
        return json_answer({"object": "list", "total_usage": _go_float(used / _PER_USD * 100)})

    def _reader(self, request: web.Request) -> Key | web.Response:
        """The key of a rate-limited look-up, or the answer that refuses it."""
        world, now = self._world, self._world.now()
        recent = [at for at in world.lookups if at > now - _WINDOW * world.time_scale]
        limit = world.scenario.usage_limit
        if limit and len(recent) >= limit:
            return too_many(_WINDOW)
        world.lookups = [*recent, now]
        key = world.known_key(request)
        return key or json_answer({"message": "Invalid token", "success": False}, status=401)


def _fault(request: web.Request, rule: Rule, on: str) -> web.Response:
    told = "database is locked"
    error: dict[str, Any] = {"message": told, "success": False}
    if on == BILLING:
        error = {"error": {"message": told, "type": "upstream_error", "param": "", "code": None}}
    match rule.do:
        case "429":
            return too_many(rule.seconds)
        case "500":
            return json_answer(error, status=500)
        case "refused":  # as this part of the gateway does it: with status 200
            return json_answer(error)
    return common_fault(request, rule)


def _go_float(value: float) -> float:
    """A number as Go writes it in JSON: whole numbers without a fraction."""
    return int(value) if value.is_integer() else value


def _rows(task: Task, scenario: Scenario) -> Iterator[dict[str, Any]]:
    """The log rows of a task so far: the submission's, then the settlement's."""
    charge, phase = task.charge, task.phase
    known = {
        "group_ratio": 1,
        "is_model_mapped": True,
        "model_price": -1,
        "model_ratio": model_ratio(charge.model),
        "upstream_model_name": upstream_name(charge.model),
    }
    named = {"task_id": charge.remote_id} if scenario.log_names_task else {}
    yield {
        **_row(task, charge.at, charge.request_id),
        "type": _CONSUME,
        "content": "操作 generate",
        "quota": charge.hold,
        # Often without a task ID, which makes lost answers hard to find again.
        "other": _text({**known, **named, "is_task": True, "request_path": charge.path}),
    }
    difference = task.cost - charge.hold
    if not phase.final or difference == 0:
        return
    known |= {"pre_consumed_quota": charge.hold, "task_id": charge.remote_id}
    settled = rendering.request_id(int(phase.at * 1e9), letters(8, charge.remote_id, "settled"))
    row = _row(task, phase.at, settled if scenario.request_ids else "")
    if phase.status == "SUCCESS":
        yield {
            **row,
            "type": _CONSUME if difference > 0 else _REFUND,
            "content": f"token重算：tokens={charge.tokens}, modelRatio={model_ratio(charge.model):.2f}, "
            "groupRatio=1.00, otherMultiplier=1.0000",
            "quota": abs(difference),
            "other": _text({**known, "actual_quota": charge.settled}),
        }
    else:
        yield {
            **row,
            "type": _REFUND,
            "content": "",
            "quota": charge.hold,
            "other": _text({**known, "reason": rendering.fail_reason(task)}),
        }


def _row(task: Task, at: float, request_id: str) -> dict[str, Any]:
    """The fields common to a task's log rows, in the recorded order."""
    return {
        "id": 0,
        "user_id": 1,
        "created_at": int(at),
        "type": 0,
        "content": "",
        "username": "root",
        "token_name": task.charge.key,
        "model_name": task.charge.model,
        "quota": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "use_time": 0,
        "is_stream": False,
        "channel": 1,
        "channel_name": "",
        "token_id": task.charge.token_id,
        "group": "default",
        "ip": "",
        "request_id": request_id,
        "other": "",
    }


def _text(other: dict[str, Any]) -> str:
    """A row's `other`: a JSON text within the JSON."""
    return rendering.dumps(dict(sorted(other.items()))).decode()
