"""A gateway that does as little as possible, for measures in which the simulator itself would be the limit.

`python stand_in.py VIDEO SECONDS` prints its URL as JSON, accepts every task, shows each as finished after
SECONDS (or once all are finished by a POST to /stand-in/finish), and serves one video for all of them.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web

MODELS = ("dreamina-seedance-2-0", "dreamina-seedance-2-0-fast")


class StandIn:
    """The tasks, by the time of their acceptance."""

    def __init__(self, video: Path, seconds: float) -> None:
        self._video, self._seconds = video, seconds
        self._accepted: dict[str, float] = {}
        self._first_download = 0.0

    async def models(self, _: web.Request) -> web.Response:
        """GET /v1/models."""
        return web.json_response({"data": [{"id": name} for name in MODELS], "object": "list"})

    async def submit(self, request: web.Request) -> web.Response:
        """POST /v1/video/generations."""
        await request.read()
        remote_id = f"task_{len(self._accepted):08}"
        self._accepted[remote_id] = time.time()
        return web.json_response({"id": remote_id, "task_id": remote_id, "status": "queued"})

    async def poll(self, request: web.Request) -> web.Response:
        """GET /v1/video/generations/{id}."""
        remote_id = request.match_info["id"]
        ended = time.time() >= self._accepted[remote_id] + self._seconds
        task: dict[str, Any] = {"task_id": remote_id, "status": "SUCCESS" if ended else "IN_PROGRESS"}
        upstream: dict[str, Any] = {"status": "succeeded" if ended else "running"}
        if ended:
            task["finish_time"] = int(time.time())
            task["result_url"] = f"{request.url.origin()}/stand-in/{remote_id}.mp4"
            upstream["usage"] = {"total_tokens": 100}
        return web.json_response({"code": "success", "message": "", "data": {**task, "data": upstream}})

    async def content(self, _: web.Request) -> web.FileResponse:
        """GET /v1/videos/{id}/content, or the link."""
        self._first_download = self._first_download or time.time()
        return web.FileResponse(self._video)

    async def finish(self, _: web.Request) -> web.Response:
        """POST /stand-in/finish: every task has ended; forget that there were downloads."""
        self._seconds = self._first_download = 0.0
        return web.json_response({})

    async def seen(self, _: web.Request) -> web.Response:
        """GET /stand-in: what happened so far, in Unix seconds."""
        return web.json_response({"accepted": len(self._accepted), "first_download": self._first_download})


async def serve(video: Path, seconds: float) -> None:
    """Serve on a free port until killed."""
    gateway = StandIn(video, seconds)
    app = web.Application()
    app.router.add_get("/v1/models", gateway.models)
    app.router.add_post("/v1/video/generations", gateway.submit)
    app.router.add_get("/v1/video/generations/{id}", gateway.poll)
    app.router.add_get("/v1/videos/{id}/content", gateway.content)
    app.router.add_get("/stand-in/{id}.mp4", gateway.content)
    app.router.add_post("/stand-in/finish", gateway.finish)
    app.router.add_get("/stand-in", gateway.seen)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
    await site.start()
    sys.stdout.write(f"{json.dumps({'url': site.name})}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
