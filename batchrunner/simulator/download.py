"""The video itself: by /v1/videos/{id}/content, and by result_url from a file server on another port."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from batchrunner.simulator import wire
from batchrunner.simulator.charge import short_hash
from batchrunner.simulator.model import FPS, told
from batchrunner.simulator.refusal import Refusal, Refused
from batchrunner.simulator.rules import DOWNLOAD, Rule
from batchrunner.simulator.tasks import Task
from batchrunner.simulator.videos import picture_of
from batchrunner.simulator.world import World, edge_answer, json_answer

_PIECES = 20  # of a slow download
_OTHER_SECONDS = 2  # by so much is another video longer

_TOLD = {"short": "cut", "chunked": "chunked"}  # what a prompt tells the model to do to its file


@dataclass(frozen=True)
class File:
    """A file on its way out, and what shall befall it."""

    body: bytes
    headers: Mapping[str, str]
    fault: str  # of the download faults, or "chunked" or ""
    seconds: float = 0.0  # real ones, of a slow download


class ContentRoute:
    """GET /v1/videos/{id}/content."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Stream the file; Range is not looked at, as recorded."""
        self._world.key(request)
        task = self._world.task(request)
        if task is None:
            raise _proxy(404, "invalid_request_error", "Task not found")
        status = task.phase.status
        rule = self._world.pick(DOWNLOAD, task.charge.prompt, "content") if status == "SUCCESS" else None
        fault = rule.do if rule else ""
        if fault == "not_ready":
            status = "IN_PROGRESS"
        if status != "SUCCESS":
            message = f"Task is not completed yet, current status: {status}"
            raise _proxy(400, "invalid_request_error", message)
        if fault == "404":
            raise _proxy(404, "invalid_request_error", "Task not found")
        if fault == "502":
            raise _proxy(502, "server_error", "Failed to fetch video content")
        if not link_lives(self._world, task):
            raise _proxy(502, "server_error", "Upstream service returned status 403")
        return await send(request, await video_file(self._world, task, rule))


class FileRoute:
    """Everything on the file server: the temporary links, which want no key."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve a signed link that still lives; 403 for any request that bears a key."""
        self._world.catch_up()
        self._world.requests[f"{request.method} {_FILES}"] += 1
        if "Authorization" in request.headers:
            self._world.requests[f"{request.method} {_FILES} with Authorization"] += 1
            return _xml(403, "OnlyOneAuthMechanismAllowed")
        folder, _, name = request.path.strip("/").rpartition("/")
        identity, _, kind = name.rpartition(".")
        task = self._world.tasks.find_upstream(identity)
        if request.method != "GET" or folder != "files" or task is None:
            return _xml(404, "NoSuchKey")
        if request.query_string != wire.signature(task.charge):
            return _xml(403, "SignatureDoesNotMatch")
        if task.phase.status != "SUCCESS" or not link_lives(self._world, task):
            return _xml(403, "AccessDenied")
        if kind == "jpeg":
            return await self._last_frame(task)
        return await self._video(request, task)

    async def _last_frame(self, task: Task) -> web.StreamResponse:
        charge = task.charge
        picture = picture_of(charge.ordinal, charge.width, charge.height, charge.frames)
        return web.Response(body=await self._world.videos.last_frame(picture), content_type="image/jpeg")

    async def _video(self, request: web.Request, task: Task) -> web.StreamResponse:
        rule = self._world.pick(DOWNLOAD, task.charge.prompt, "url")
        fault = rule.do if rule else ""
        if fault == "502":
            return edge_answer(request, 502, wire.HTML_502)
        if fault in ("404", "not_ready"):
            return _xml(404, "NoSuchKey")
        return await send(request, await video_file(self._world, task, rule))


_FILES = "file server"


def link_lives(world: World, task: Task) -> bool:
    """Whether the temporary link of a succeeded task still works."""
    return told(task.charge.prompt) != "gone" and world.now() < task.link_expires_at


async def video_file(world: World, task: Task, rule: Rule | None) -> File:
    """A task's file with what shall befall it: the rule's fault, or what the prompt told the model."""
    charge = task.charge
    fault = rule.do if rule else _TOLD.get(told(charge.prompt), "")
    frames = charge.frames + (_OTHER_SECONDS * FPS if fault == "other_video" else 0)
    picture = picture_of(charge.ordinal, charge.width, charge.height, frames)
    body = await world.videos.video(picture, charge.remote_id)
    if fault == "garbage":
        body = random.Random(charge.remote_id).randbytes(len(body))  # noqa: S311 the same for ever
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "public, max-age=86400",
        "Content-Type": "video/mp4",
        "Server": "files",
        "Etag": f'"{short_hash(charge.remote_id.encode())}"',
        "X-Tos-Request-Id": charge.remote_id[-12:],
    }
    return File(body, headers, fault, rule.seconds * world.time_scale if rule else 0.0)


async def send(request: web.Request, file: File) -> web.StreamResponse:
    """Send a file as its fault wants it."""
    if file.fault == "html_200":
        return edge_answer(request, 200, wire.HTML_PAGE)
    if file.fault == "json_200":
        return json_answer({"error": {"message": "upstream error", "type": "server_error"}})
    if file.fault in ("chunked", "cut_chunked"):
        return await _send_chunked(request, file)
    if file.fault == "cut":
        return await _send_cut(request, file)
    if file.fault == "slow":
        return await _send_slowly(request, file)
    return web.Response(body=file.body, headers=file.headers)


async def _send_chunked(request: web.Request, file: File) -> web.StreamResponse:
    """Without a length; a cut one ends as cleanly as a whole one."""
    response = web.StreamResponse(headers=file.headers)
    response.enable_chunked_encoding()
    await response.prepare(request)
    whole = len(file.body)
    await response.write(file.body[: whole // 2 if file.fault == "cut_chunked" else whole])
    await response.write_eof()
    return response


async def _send_cut(request: web.Request, file: File) -> web.StreamResponse:
    """Half of what Content-Length promises, then the end of the connection."""
    response = web.StreamResponse(headers={**file.headers, "Content-Length": str(len(file.body))})
    await response.prepare(request)
    await response.write(file.body[: len(file.body) // 2])
    if request.transport is not None:
        request.transport.close()  # after what was written has left
    return response


async def _send_slowly(request: web.Request, file: File) -> web.StreamResponse:
    response = web.StreamResponse(headers={**file.headers, "Content-Length": str(len(file.body))})
    await response.prepare(request)
    size = len(file.body) // _PIECES + 1
    for start in range(0, len(file.body), size):
        await response.write(file.body[start : start + size])
        await asyncio.sleep(file.seconds / _PIECES)
    await response.write_eof()
    return response


def _proxy(status: int, kind: str, message: str) -> Refused:
    return Refused(Refusal(status, "proxy", kind, message))


def _xml(status: int, code: str) -> web.Response:
    """An error as an object store words it."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>\n'
    return web.Response(status=status, text=text, content_type="application/xml")
