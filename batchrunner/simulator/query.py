"""The poll routes, in the gateway's own form and in OpenAI's, and the list of models."""

from aiohttp import web

from batchrunner.simulator import wire
from batchrunner.simulator.refusal import Refusal, Refused
from batchrunner.simulator.rules import POLL
from batchrunner.simulator.submission import MODELS
from batchrunner.simulator.tasks import Task
from batchrunner.simulator.world import (
    World,
    edge_answer,
    invalid_token,
    json_answer,
    reset,
)

_NO_TASK = Refusal(400, "task", "task_not_exist", "task_not_exist")


class PollRoute:
    """GET /v1/video/generations/{id}, or with `openai` GET /v1/videos/{id}."""

    def __init__(self, world: World, openai: bool) -> None:
        self._world = world
        self._openai = openai

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Show what the refresh loop has last seen of the task, or let a fault befall the poll."""
        self._world.key(request)
        task = self._world.task(request)
        if task is None:
            raise Refused(_NO_TASK)
        rule = self._world.pick(POLL, task.charge.prompt)
        if rule is not None:
            return self._fault(request, task, rule.do)
        return json_answer(self._rendered(task), content_type=wire.POLL_JSON)

    def _rendered(self, task: Task) -> bytes:
        kept = (self._openai, len(task.phases))
        body = task.rendered.get(kept)
        if body is None:
            form = wire.openai_video if self._openai else _wrapped
            body = task.rendered[kept] = wire.dumps(form(task, self._world.files_url))
        return body

    def _fault(self, request: web.Request, task: Task, fault: str) -> web.StreamResponse:
        refusals = {
            "500": Refusal(500, "task", "get_task_failed", "database is locked"),
            "401": invalid_token(request),
            "403_model": Refusal(403, "openai", "", "This token has no access to model "),
            "task_not_exist": _NO_TASK,
        }
        if fault in refusals:
            raise Refused(refusals[fault])
        if fault == "html_502":
            return edge_answer(request, 502, wire.HTML_502)
        if fault == "cut":
            return reset(request)
        if fault == "null_data":
            return json_answer({"code": "success", "data": None}, content_type=wire.POLL_JSON)
        shown = wire.task_dto(task, self._world.files_url)
        unknown = {**shown, "status": "REVIEWING", "progress": "60%"}
        return json_answer({"code": "success", "message": "", "data": unknown}, content_type=wire.POLL_JSON)


def _wrapped(task: Task, files_url: str) -> dict[str, object]:
    return {"code": "success", "message": "", "data": wire.task_dto(task, files_url)}


class ModelsRoute:
    """GET /v1/models."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List the models that the key may use."""
        key = self._world.key(request)
        models = [
            {
                "id": name,
                "object": "model",
                "created": 1626777600,
                "owned_by": "volcengine",
                "supported_endpoint_types": [],
            }
            for name in MODELS
            if key.models is None or name in key.models
        ]
        return json_answer({"data": models, "object": "list", "success": True})
