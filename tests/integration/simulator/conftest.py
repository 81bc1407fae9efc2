"""A small plain-HTTP client for the simulator: none of batchrunner's own client takes part here."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp
import pytest

from batchrunner.simulator import Scenario, Simulator

FAST = "dreamina-seedance-2-0-fast"
SCALE = 0.001


class Reply(NamedTuple):
    """One answer, read whole."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Clock:
    """The simulator's clock, which goes on only when it is told to."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._now = time.time()

    def __call__(self) -> float:
        return self._now

    def later(self, seconds: float) -> None:
        """Let so many nominal seconds go by."""
        self._now += seconds * self._scale


class Caller:
    """Talks to one simulator, with a key unless told otherwise."""

    def __init__(self, sim: Simulator, clock: Clock, key: str = "sk-main") -> None:
        self.sim = sim
        self.clock = clock
        self._key = key

    async def __aenter__(self) -> "Caller":
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, key: str | None = "", **options: Any) -> Reply:
        """One request, without following redirects; `key` None sends no Authorization."""
        headers = {**options.pop("headers", {})}
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self._key}"
        url = path if path.startswith("http") else self.sim.url + path
        options.setdefault("allow_redirects", False)
        async with self._session.request(method, url, headers=headers, **options) as response:
            return Reply(response.status, response.headers.copy(), await response.read())

    async def submit(self, prompt: str = "a cat", key: str | None = "", **body: Any) -> Reply:
        """POST a small fast task; `body` adds to or replaces its fields (None removes one)."""
        whole = {
            "model": FAST,
            "prompt": prompt,
            "metadata": {"resolution": "480p", "duration": 1},
            **body,
        }
        sent = {name: value for name, value in whole.items() if value is not None}
        return await self.call("POST", "/v1/video/generations", key, json=sent)

    async def accepted(self, prompt: str = "a cat", **body: Any) -> str:
        """Submit, and return the remote id."""
        reply = await self.submit(prompt, **body)
        assert reply.status == 200, reply
        return str(reply.json["task_id"])

    async def poll(self, remote_id: str) -> Any:
        """The task's own form."""
        reply = await self.call("GET", f"/v1/video/generations/{remote_id}")
        assert reply.status == 200, reply
        return reply.json["data"]

    async def ended(self, remote_id: str, every: float = 5) -> Any:
        """Poll until SUCCESS or FAILURE."""
        return await self.until(remote_id, lambda task: task["status"] in ("SUCCESS", "FAILURE"), every)

    async def until(self, remote_id: str, wanted: Callable[[Any], bool], every: float = 5) -> Any:
        """Poll until the task is as wanted, `every` so many nominal seconds."""
        while not wanted(task := await self.poll(remote_id)):
            self.clock.later(every)
        return task

    async def content(self, remote_id: str, **options: Any) -> Reply:
        """Download by /content."""
        return await self.call("GET", f"/v1/videos/{remote_id}/content", **options)

    async def charges(self) -> list[Any]:
        """The charge book."""
        charges: list[Any] = (await self.call("GET", "/simulator/charges")).json["charges"]
        return charges

    async def requests(self) -> Any:
        """The request counts."""
        return (await self.call("GET", "/simulator/requests")).json


Story = Callable[[Caller], Awaitable[Any]]
Night = Callable[..., Any]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Runs a story against a simulator; calls of one test share the state directory."""

    clock = Clock(SCALE)

    def run(story: Story, **scenario: Any) -> Any:
        values = {"generation_seconds": 20, "generation_sigma": 0, **scenario}

        async def go() -> Any:
            sim = Simulator(tmp_path / "state", Scenario.from_dict(values), SCALE, clock=clock)
            async with sim, Caller(sim, clock) as caller:
                return await story(caller)

        return asyncio.run(go())

    return run
