"""The poll routes, in the gateway's own form and in OpenAI's, and the list of models."""

from aiohttp import web

from batchrunner.simulator import rendering
from batchrunner.simulator.answers import common_fault, json_answer, too_many
from batchrunner.simulator.faults import MODEL_LIST, POLL
from batchrunner.simulator.refusal import Denial, Denied
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.submission import MODELS
from batchrunner.simulator.tasks import Task
from batchrunner.simulator.world import World

_NO_TASK = Denial(400, "task", "task_not_exist", "task_not_exist")


class PollRoute:
    """GET /v1/video/generations/{id}, or with `openai` GET /v1/videos/{id}."""

    def __init__(self, world: World, openai: bool) -> None:
        self._world = world
        self._openai = openai

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Show the state last seen by the refresh loop, or apply a fault to the poll."""
        task = self._world.task(request, self._world.key(request))
        if task is None:
            raise Denied(_NO_TASK)
        rule = self._world.pick(POLL, task.charge.prompt, task.charge.remote_id)
        if rule is not None and rule.do == "hang":
            return await self._world.hang(request, rule.seconds)
        if rule is not None:
            return self._fault(request, task, rule)
        return json_answer(self._rendered(task), content_type=rendering.POLL_JSON)

    def _rendered(self, task: Task) -> bytes:
        kept = (self._openai, len(task.phases))
        body = task.rendered.get(kept)
        if body is None:
            form = rendering.openai_video if self._openai else self._wrapped
            body = task.rendered[kept] = rendering.dumps(form(task, self._world.files_url))
        return body

    def _wrapped(self, task: Task, files_url: str, **changes: str) -> dict[str, object]:
        dto = rendering.task_dto(task, files_url)
        if self._world.scenario.link_in_fail_reason:
            dto = rendering.with_link_in_fail_reason(dto)
        return {"code": "success", "message": "", "data": {**dto, **changes}}

    def _fault(self, request: web.Request, task: Task, rule: Rule) -> web.StreamResponse:
        match rule.do:
            case "500":
                raise Denied(Denial(500, "task", "get_task_failed", "database is locked"))
            case "429":
                return too_many(rule.seconds)
            case "403_model":
                raise Denied(Denial(403, "openai", "", "This token has no access to model "))
            case "task_not_exist":
                raise Denied(_NO_TASK)
            case "null_data":
                return json_answer({"code": "success", "data": None}, content_type=rendering.POLL_JSON)
            case "unknown_state":
                body = self._wrapped(task, self._world.files_url, status="REVIEWING", progress="60%")
                return json_answer(body, content_type=rendering.POLL_JSON)
        return common_fault(request, rule)


class ModelsRoute:
    """GET /v1/models."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """List the models that the key may use."""
        key = self._world.key(request)
        rule = self._world.pick(MODEL_LIST)
        if rule is not None and rule.do != "missing":
            return common_fault(request, rule)
        models = [
            {
                "id": name,
                "object": "model",
                "created": 1626777600,
                "owned_by": "volcengine",
                "supported_endpoint_types": [],
            }
            for name in MODELS
            if (key.models is None or name in key.models) and rule is None
        ]
        return json_answer({"data": models, "object": "list", "success": True})
