"""The simulated gateway as two real HTTP servers on 127.0.0.1: the gateway's and the file server's."""

import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE
from aiohttp.typedefs import Middleware

from batchrunner.simulator.answers import EDGE, REQUEST_ID, json_answer, not_found, refused_answer
from batchrunner.simulator.book import Book
from batchrunner.simulator.query import ModelsRoute, PollRoute
from batchrunner.simulator.refusal import Denied
from batchrunner.simulator.scenario import Scenario
from batchrunner.simulator.submission import MAX_BODY
from batchrunner.simulator.submit import SubmitRoute
from batchrunner.simulator.tasks import Task
from batchrunner.simulator.usage_routes import Handler, UsageRoutes
from batchrunner.simulator.video_routes import ContentRoute, FileRoute
from batchrunner.simulator.world import VERSION, Clock, World

_HOST = "127.0.0.1"
_GRACE = 0.5  # seconds that requests in flight get at shutdown


class Simulator:
    """The gateway, serving inside `async with`; a restart on the same state continues where it stopped.

    `state_dir` holds the charge book and is locked against a second simulator. `time_scale` 0.01 makes each
    nominal second a hundredth of a real one. `port` 0 takes the port of the last start if it is free, else a
    free one. `clock` returns the Unix time for everything but pauses within an answer, which are real.
    Raises RuntimeError if the state is in use, OSError if an explicit port is; ValueError for a time scale
    of 0 or less.
    """

    def __init__(
        self,
        state_dir: Path,
        scenario: Scenario | None = None,
        time_scale: float = 1.0,
        port: int = 0,
        clock: Clock = time.time,
    ) -> None:
        if time_scale <= 0:
            raise ValueError(f"time_scale must be above 0, not {time_scale}")
        self._state_dir = Path(state_dir)
        self._scenario = scenario or Scenario()
        self._time_scale = time_scale
        self._port = port
        self._clock = clock
        self._running = AsyncExitStack()
        self.url = ""  # of the gateway, without a trailing slash
        self.files_url = ""  # of the file server

    def __repr__(self) -> str:
        return f"<Simulator {self.url or 'not started'} {self._state_dir}>"

    async def __aenter__(self) -> "Simulator":
        async with AsyncExitStack() as stack:
            book = Book(self._state_dir)
            stack.callback(book.close)
            world = World(book, self._scenario, self._time_scale, self._state_dir, self._clock)
            stack.callback(world.videos.close)
            settings = book.settings()
            files = _listen(0, int(settings.get("files_port", 0)))
            self.files_url = world.files_url = await _serve(_files_app(world), files, stack)
            gateway = _listen(self._port, int(settings.get("port", 0)))
            self.url = world.gateway_url = await _serve(_gateway_app(world), gateway, stack)
            stack.callback(world.closing.set)
            ports = {"port": gateway.getsockname()[1], "files_port": files.getsockname()[1]}
            book.remember({**ports, "started_at": world.started_at})
            self._running = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._running.aclose()


async def _serve(app: web.Application, sock: socket.socket, stack: AsyncExitStack) -> str:
    """Serve `app` on a listening socket until the stack is unwound; returns the URL."""
    stack.callback(sock.close)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GRACE)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, sock).start()
    return f"http://{_HOST}:{sock.getsockname()[1]}"


def _listen(port: int, remembered: int) -> socket.socket:
    """A listening socket on `port`; for 0 on the remembered port if it is free, else on any."""
    for candidate in (port,) if port else (remembered, 0):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((_HOST, candidate))
            sock.listen(1024)
        except OSError:
            sock.close()
            if candidate in (port, 0):
                raise
        else:
            return sock
    raise AssertionError("the last candidate either binds or raises")


def _gateway_app(world: World) -> web.Application:
    app = web.Application(middlewares=[_answering(world)], client_max_size=MAX_BODY)
    app.on_response_prepare.append(_add_headers)
    submit, book = SubmitRoute(world).answer, BookRoutes(world)
    gets: dict[str, Handler] = {
        "/v1/video/generations/{id}": PollRoute(world, openai=False).answer,
        "/v1/videos/{id}": PollRoute(world, openai=True).answer,
        "/v1/videos/{id}/content": ContentRoute(world).answer,
        "/v1/models": ModelsRoute(world).answer,
        **UsageRoutes(world).handlers(),
        "/simulator/charges": book.charges,
        "/simulator/requests": book.requests,
    }
    for path, handler in gets.items():
        app.router.add_get(path, handler, allow_head=False)
    for path in ("/v1/video/generations", "/v1/videos"):
        app.router.add_post(path, submit)
    app.router.add_route("*", "/{path:.*}", _not_found)
    return app


def _files_app(world: World) -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", FileRoute(world).answer)
    return app


def _answering(world: World) -> Middleware:
    """Count every request, and turn refusals into answers."""

    @web.middleware
    async def answer_all(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[REQUEST_ID] = world.new_request_id() if world.scenario.request_ids else ""
        world.catch_up()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else request.path
        if not route.startswith("/simulator/"):
            world.requests[f"{request.method} {'elsewhere' if route == '/{path}' else route}"] += 1
        try:
            return await handler(request)
        except Denied as refused:
            answer = refused.refusal
            if request.method == "POST":
                world.refusals[f"{answer.status} {answer.code}".strip()] += 1
            return refused_answer(request, answer)

    return answer_all


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if response.headers["Server"] == SERVER_SOFTWARE:  # only answers from upstream name a server
        del response.headers["Server"]
    if EDGE not in request:
        response.headers["X-New-Api-Version"] = VERSION
        if request[REQUEST_ID]:
            response.headers["X-Oneapi-Request-Id"] = request[REQUEST_ID]


async def _not_found(request: web.Request) -> web.StreamResponse:
    return not_found(request)


class BookRoutes:
    """Routes for tests that no real gateway has: the charge book and the request counts."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def charges(self, _request: web.Request) -> web.StreamResponse:
        """GET /simulator/charges: every accepted submission, oldest first, with its outcome so far."""
        return json_answer({"charges": [_with_outcome(task) for task in self._world.tasks.all()]})

    async def requests(self, _request: web.Request) -> web.StreamResponse:
        """GET /simulator/requests: counts since this start, by method and route."""
        world = self._world
        return json_answer(
            {
                "requests": dict(world.requests),
                "refused_submits": sum(world.refusals.values()),
                "refused_by": dict(world.refusals),
            }
        )


def _with_outcome(task: Task) -> dict[str, Any]:
    phase = task.phase
    outcomes = {"SUCCESS": "succeeded", "FAILURE": "failed"}
    return {
        **task.charge.to_json(),
        "outcome": outcomes.get(phase.status, "in_progress"),
        "finished_at": phase.at if phase.final else None,
        "quota": task.cost,
    }
