"""A small plain-HTTP client for the simulator: none of batchrunner's own client takes part here."""

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Iterator
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

    def __init__(self, scale: float, now: float) -> None:
        self._scale = scale
        self._now = now

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


class Nights:
    """Runs stories against a simulator, one after another on the same state and the same clock."""

    def __init__(self, state: Path, now: float) -> None:
        self._state = state
        self._clock = Clock(SCALE, now)

    def __call__(self, story: Story, **scenario: Any) -> Any:
        """One story in a night whose generations take 20 s unless the scenario says otherwise."""
        values = {"generation_seconds": 20, "generation_sigma": 0, **scenario}
        return self.of(Scenario.from_dict(values), story)

    def of(self, scenario: Scenario, *stories: Story) -> Any:
        """The stories in a night of this scenario, each with its own simulator; returns the last result."""
        return [asyncio.run(self._tell(scenario, story)) for story in stories][-1]

    async def _tell(self, scenario: Scenario, story: Story) -> Any:
        sim = Simulator(self._state, scenario, SCALE, clock=self._clock)
        async with sim, Caller(sim, self._clock) as caller:
            return await story(caller)


@pytest.fixture
def night(tmp_path: Path) -> Nights:
    """A night that begins now; calls of one test share the state directory."""
    return Nights(tmp_path / "state", time.time())


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Nights]:
    """As many nights as a test wants, each with nothing before it and all beginning at the same moment."""
    return (Nights(tmp_path / f"state {number}", 1.8e9) for number in itertools.count())
