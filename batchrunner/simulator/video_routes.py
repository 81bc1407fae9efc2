"""Serves videos: by /v1/videos/{id}/content, and by result_url from a file server on another port."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from batchrunner.simulator import files, rendering
from batchrunner.simulator.answers import common_fault, edge_answer, json_answer
from batchrunner.simulator.charge import short_hash
from batchrunner.simulator.faults import DOWNLOAD
from batchrunner.simulator.file_links import BadLink, check_life, resolve
from batchrunner.simulator.refusal import Denial, Denied
from batchrunner.simulator.rules import Rule
from batchrunner.simulator.tasks import Task
from batchrunner.simulator.video_model import FPS, told
from batchrunner.simulator.world import World

_PIECES = 20  # chunks of a slow download
_OTHER_SECONDS = 2  # how much longer `other_video` is
_FILES = "file server"  # its name in the request counts


class ContentRoute:
    """GET /v1/videos/{id}/content."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Stream the file; Range is ignored, as recorded."""
        task = self._world.task(request, self._world.key(request))
        if task is None:
            raise _proxy(404, "invalid_request_error", "Task not found")
        status, rule = task.phase.status, None
        if status == "SUCCESS":
            rule = self._world.pick(DOWNLOAD, task.charge.prompt, task.charge.remote_id, "content")
        match rule.do if rule else "":
            case "not_ready":
                status = "IN_PROGRESS"
            case "404":
                raise _proxy(404, "invalid_request_error", "Task not found")
            case "502":
                raise _proxy(502, "server_error", "Failed to fetch video content")
        if status != "SUCCESS":
            raise _proxy(400, "invalid_request_error", f"Task is not completed yet, current status: {status}")
        try:
            check_life(task, self._world.now())
        except BadLink as refused:
            raise _proxy(
                502, "server_error", f"Upstream service returned status {refused.status}"
            ) from refused
        return await deliver(self._world, request, task, rule, self._world.scenario.content_seconds)


class FileRoute:
    """The file server: temporary links, without a key."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve a signed link that is still valid; 403 for any request with a key."""
        self._world.catch_up()
        self._world.requests[f"{request.method} {_FILES}"] += 1
        if "Authorization" in request.headers:
            self._world.requests[f"{request.method} {_FILES} with Authorization"] += 1
            return _xml(403, "OnlyOneAuthMechanismAllowed")
        if request.method != "GET":
            return _xml(404, "NoSuchKey")
        try:
            link = resolve(self._world.tasks, request.path, request.query_string)
            check_life(link.task, self._world.now())
        except BadLink as refused:
            return _xml(refused.status, refused.code)
        if link.is_last_frame:
            body = await files.last_frame(self._world, link.task.charge)
            return web.Response(body=body, content_type="image/jpeg")
        return await self._video(request, link.task)

    async def _video(self, request: web.Request, task: Task) -> web.StreamResponse:
        rule = self._world.pick(DOWNLOAD, task.charge.prompt, task.charge.remote_id, "url")
        match rule.do if rule else "":
            case "404" | "not_ready":
                return _xml(404, "NoSuchKey")
            case "502":
                return edge_answer(request, 502, rendering.error_page(502))
        return await deliver(self._world, request, task, rule, None)


async def deliver(
    world: World, request: web.Request, task: Task, rule: Rule | None, ceiling: float | None
) -> web.StreamResponse:
    """Send a task's file as the rule says, otherwise as its prompt says.

    A slow download is cut off after `ceiling` nominal seconds.
    """
    fault = rule.do if rule else ""
    if rule is not None and fault == "hang":
        return await world.hang(request, rule.seconds)
    if rule is not None and fault == "html_200":
        return common_fault(request, rule)
    if fault == "json_200":
        return json_answer({"error": {"message": "upstream error", "type": "server_error"}})
    charge = task.charge
    body = await files.video(world, charge, _OTHER_SECONDS * FPS if fault == "other_video" else 0)
    if fault == "garbage":
        body = random.Random(charge.remote_id).randbytes(len(body))  # noqa: S311 always the same
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "public, max-age=86400",
        "Content-Type": "video/mp4",
        "Etag": f'"{short_hash(charge.remote_id.encode())}"',
        "Server": "files",
        "X-Tos-Request-Id": charge.remote_id[-12:],
    }
    way = _way(told(charge.prompt), rule, ceiling)
    if way == _ORDINARY:
        return web.Response(body=body, headers=headers)
    return await _stream(request, body, headers, way, world.time_scale)


@dataclass(frozen=True)
class Way:
    """How a file is sent."""

    chunked: bool = False  # no Content-Length
    share: float = 1.0  # the fraction that is sent
    seconds: float = 0.0  # nominal, over which sending is spread


_ORDINARY = Way()


def _way(wanted: str, rule: Rule | None, ceiling: float | None) -> Way:
    """How to send a file: as the rule says, otherwise as the prompt's `wanted` says."""
    match rule.do if rule else wanted:
        case "cut" | "short":
            return Way(share=0.5)
        case "cut_chunked":
            return Way(chunked=True, share=0.5)
        case "chunked":
            return Way(chunked=True)
        case "slow" if rule is not None:
            share = 1.0 if ceiling is None else min(1.0, ceiling / max(rule.seconds, ceiling))
            return Way(wanted == "chunked", share, rule.seconds * share)
    return _ORDINARY


async def _stream(
    request: web.Request, body: bytes, headers: Mapping[str, str], way: Way, time_scale: float
) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    if way.chunked:
        response.enable_chunked_encoding()
    else:
        response.content_length = len(body)
    await response.prepare(request)
    end = int(len(body) * way.share)
    size = end // _PIECES + 1
    starts = range(0, end, size)
    for start in starts:
        await asyncio.sleep(way.seconds * time_scale / len(starts))  # no wait after the last write
        await response.write(body[start : min(start + size, end)])
    if end == len(body) or way.chunked:  # without a length, a cut file ends as cleanly as a whole one
        await response.write_eof()
    elif request.transport is not None:
        request.transport.close()  # after the written data has been sent
    return response


def _proxy(status: int, kind: str, message: str) -> Denied:
    return Denied(Denial(status, "proxy", kind, message))


def _xml(status: int, code: str) -> web.Response:
    """An error in the format of an object store."""
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>\n'
    return web.Response(status=status, text=text, content_type="application/xml")
