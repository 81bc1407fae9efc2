"""A worker with its real neighbours: ledger, admission, client, and the simulated gateway over loopback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from batchrunner.clock import Clock
from batchrunner.core.model import Fit, Plan, Pricing, RunSettings, TaskKey
from batchrunner.core.outcome import Preflight
from batchrunner.core.plan import WantedTask
from batchrunner.core.settlement import Prices
from batchrunner.core.states import TaskState
from batchrunner.core.submission.backlog import Waiting
from batchrunner.core.submission.hours import Hours
from batchrunner.engine.admission import Admission
from batchrunner.engine.disk_room import Disk
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.requests import Requests
from batchrunner.engine.stored_inputs import StoredInputs
from batchrunner.engine.task_outputs import TaskOutputs
from batchrunner.engine.worker import Worker
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings
from batchrunner.ledger import Ledger, TaskRecord
from batchrunner.manifest import load_limits
from batchrunner.simulator import Scenario, Simulator
from batchrunner.storage.local_videos import LocalVideos
from tests.harness.plans import plan_tasks, wanted_task

SCALE = 0.001
PRICES = Prices(Pricing("USD", {"dreamina-seedance-2-0-fast": 5.6}), load_limits())


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies this machine has, they are not part of a test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def wanted(prompt: str, **metadata: Any) -> WantedTask:
    """A small task; its id is its prompt."""
    request = {"model": "dreamina-seedance-2-0-fast", "prompt": prompt}
    shape = {"resolution": "480p", "ratio": "16:9", "duration": 1}
    return wanted_task({**request, "metadata": shape | metadata}, id=prompt)


@pytest.fixture
def want() -> Callable[..., WantedTask]:
    return wanted


class Book:
    """What the simulator knows: what was charged, and which requests came."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def charges(self) -> list[dict[str, Any]]:
        """Every accepted submission."""
        found: list[dict[str, Any]] = (await self._get("charges"))["charges"]
        return found

    async def posts(self) -> int:
        """How many POSTs came, whatever became of them."""
        return int((await self._get("requests"))["requests"].get("POST /v1/video/generations", 0))

    async def polls(self) -> int:
        """How many polls came."""
        return int((await self._get("requests"))["requests"].get("GET /v1/video/generations/{id}", 0))

    async def _get(self, name: str) -> Any:
        async with aiohttp.ClientSession() as session, session.get(f"{self._url}/simulator/{name}") as answer:
            return await answer.json()


@dataclass
class Shop:
    """One run without its edges: the parts, and what it takes to set them to work."""

    ledger: Ledger
    gateway: Gateway
    clock: Clock
    admission: Admission
    worker: Worker
    plan: Plan
    book: Book
    collected: list[TaskKey] = field(default_factory=list)

    async def work(self) -> None:
        """Submit everything that is pending, as the dispatcher does, until nothing holds a slot."""
        async with asyncio.TaskGroup() as group:
            await self.put_pending()
            following = []
            while permit := await self.admission.next():
                following.append(group.create_task(self.worker.submit(permit)))
            await self.admission.run.drained()
            for task in following:
                task.cancel()  # what is over its deadline is followed by the next run

    async def put_pending(self) -> None:
        """Tell admission of all pending tasks."""
        for task in await self.ledger.tasks(TaskState.PENDING):
            self.admission.run.put(Waiting(task.position or 0, task.key, task.model))

    async def tasks(self) -> dict[str, TaskRecord]:
        """Every task by its id."""
        return {task.id: task for task in await self.ledger.tasks()}

    async def states(self) -> dict[str, str]:
        """Every task's state by its id."""
        return {name: task.state.value for name, task in (await self.tasks()).items()}


@asynccontextmanager
async def opened(
    directory: Path,
    tasks: Sequence[WantedTask],
    url: str,
    submit_timeout: float = 5.0,
    hours: Hours | None = None,
    **settings: Any,
) -> AsyncIterator[Shop]:
    """The parts of a run against a gateway."""
    plan = Plan("night", "/a/night.yaml", plan_tasks(tasks))
    run = RunSettings(**{"submit_rate": 1e6, "disk_reserve": 0, **settings})
    where = GatewaySettings(url, submit_timeout)
    async with (
        Gateway.open(where, ApiKey("sk-canary", "a test")) as gateway,
        Ledger.open(directory) as ledger,
    ):
        await ledger.reconcile(plan, frozenset())
        clock, collected = Clock(SCALE), list[TaskKey]()
        doubts = {"now": (await ledger.counts(planned_only=False))[TaskState.IN_DOUBT]}
        ledger.observe(
            lambda event: doubts.update(now=doubts["now"] + (event.to_state is TaskState.IN_DOUBT))
        )

        async def answers() -> bool:
            return (await gateway.preflight()).verdict is Preflight.READY

        disk = Disk(lambda: 10**15, run.disk_reserve, 1, lambda: 0)
        admission = Admission(
            clock, run, disk, lambda: doubts["now"], answers, run=Dispatch(clock, hours=hours)
        )
        outputs = TaskOutputs(
            ledger, directory, LocalVideos(directory), clock, gateway.origin, Fit(6000, 30_000_000), {}
        )
        worker = Worker(
            ledger=ledger,
            gateway=gateway,
            clock=clock,
            admission=admission,
            settings=run,
            prices=lambda: PRICES,
            requests=Requests(
                plan.tasks.find,
                outputs,
                StoredInputs(clock.sleep),
                plan.tasks.frames_needed(),
                lambda: admission.closing,
            ),
            collect=collected.append,
            is_paid=nothing_is_paid,
        )
        yield Shop(ledger, gateway, clock, admission, worker, plan, Book(url), collected)


async def nothing_is_paid(key: TaskKey) -> bool:
    """No task was paid for elsewhere."""
    return False


Story = Callable[[Shop], Awaitable[Any]]


@pytest.fixture
def shop(tmp_path: Path) -> Callable[..., Any]:
    """Runs a story against a simulator; those of one test share ledger and charge book, as runs do."""

    def run(story: Story, *tasks: str | WantedTask, scenario: Any = None, **settings: Any) -> Any:
        values = {"generation_seconds": 20, "generation_sigma": 0, "queue_seconds": 1, **(scenario or {})}
        entries = [wanted(task) if isinstance(task, str) else task for task in tasks]

        async def go() -> Any:
            night = Scenario.from_dict(values)
            async with (
                Simulator(tmp_path / "simulator", night, SCALE) as sim,
                opened(tmp_path, entries, sim.url, **settings) as parts,
            ):
                return await story(parts)

        return asyncio.run(go())

    return run


@pytest.fixture
def raw_shop(tmp_path: Path) -> Callable[..., Any]:
    """Runs a story against a server that answers with these bytes in turn, with the last for ever."""

    def run(story: Story, answers: Sequence[bytes], *tasks: str, **settings: Any) -> Any:
        left = list(answers)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
            writer.write(left.pop(0) if len(left) > 1 else left[0])
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        async def go() -> Any:
            async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
                url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
                async with opened(tmp_path, [wanted(task) for task in tasks], url, **settings) as parts:
                    return await story(parts)

        return asyncio.run(go())

    return run
