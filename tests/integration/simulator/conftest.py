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


class Caller:
    """Talks to one simulator, with a key unless told otherwise."""

    def __init__(self, sim: Simulator, scale: float, state: Path, key: str = "sk-main") -> None:
        self.sim = sim
        self._round = 15 * scale
        self._state = state
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

    async def new_round(self) -> None:
        """Wait until the refresh loop has just come by, so that it does not do so again at once."""
        started_at = json.loads((self._state / "simulator.json").read_text())["started_at"]
        await asyncio.sleep(self._round - (time.time() - started_at) % self._round + 0.001)

    async def poll(self, remote_id: str) -> Any:
        """The task's own form."""
        reply = await self.call("GET", f"/v1/video/generations/{remote_id}")
        assert reply.status == 200, reply
        return reply.json["data"]

    async def ended(self, remote_id: str) -> Any:
        """Poll until SUCCESS or FAILURE."""
        return await self.until(remote_id, lambda task: task["status"] in ("SUCCESS", "FAILURE"))

    async def until(self, remote_id: str, wanted: Callable[[Any], bool]) -> Any:
        """Poll until the task is as wanted."""
        while not wanted(task := await self.poll(remote_id)):  # noqa: ASYNC110 polling is the API
            await asyncio.sleep(0.002)
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

    def run(story: Story, scale: float = SCALE, **scenario: Any) -> Any:
        values = {"generation_seconds": 20, "generation_sigma": 0, **scenario}

        async def go() -> Any:
            state = tmp_path / "state"
            sim = Simulator(state, Scenario.from_dict(values), scale)
            async with sim, Caller(sim, scale, state) as caller:
                return await story(caller)

        return asyncio.run(go())

    return run
