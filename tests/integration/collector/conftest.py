"""A task whose video is ready, and a small server that has it, or not."""

import asyncio
import io
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import pytest

from batchrunner.clock import Clock
from batchrunner.core.model import Plan, RemoteId
from batchrunner.core.policy import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState
from batchrunner.engine.collector import Collector
from batchrunner.engine.fetch_messages import ClusterSetup
from batchrunner.engine.fetcher import Fetcher
from batchrunner.engine.remote_fetcher import RemoteFetcher
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings
from batchrunner.ledger import Ledger, LedgerReader, TaskRecord
from batchrunner.storage.local_videos import LocalVideos
from tests.harness.plans import plan_tasks, wanted_task

SCALE = 0.0001  # the waits of all tries together take 20 ms


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies this machine has, they are not part of a test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def video() -> bytes:
    """A small real video: 64x48, 24 pictures in a second."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(24):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((number * 9 + index) % 256 for index in range(plane.buffer_size)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


# --- what a server may send in the place of a video ---------------------------------------------------


@dataclass
class Exchange:
    """One GET, and the connection to answer it on."""

    path: str
    headers: dict[str, str]
    method: str
    writer: asyncio.StreamWriter = field(repr=False)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, status: int, body: bytes, kind: str, length: int | None = None) -> None:
        head = f"HTTP/1.1 {status} Reason\r\nContent-Type: {kind}\r\nConnection: close\r\n"
        size = len(body) if length is None else length
        await self.send(f"{head}Content-Length: {size}\r\n\r\n".encode() + body)


Answer = Callable[[Exchange], Awaitable[None]]


class Answers:
    """The ways in which a video comes, or does not."""

    def __init__(self, video: bytes) -> None:
        self.video = video

    def reply(self, status: int, body: bytes = b"", kind: str = "application/json") -> Answer:
        return lambda exchange: exchange.reply(status, body, kind)

    def whole(self) -> Answer:
        return self.reply(200, self.video, "video/mp4")

    def other(self, body: bytes) -> Answer:
        """Anything else, called a video."""
        return self.reply(200, body, "video/mp4")

    def short(self, size: int) -> Answer:
        """Less than Content-Length says."""
        return lambda exchange: exchange.reply(200, self.video[:size], "video/mp4", len(self.video))

    def chunked(self, size: int) -> Answer:
        """The first bytes only, in a chunked body that ends as cleanly as a whole one."""

        async def answer(exchange: Exchange) -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\n"
            await exchange.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (size, self.video[:size]))

        return answer

    async def reset(self, exchange: Exchange) -> None:
        exchange.writer.transport.abort()

    def html(self, status: int = 200) -> Answer:
        return self.reply(status, b"<html><body>Please sign in.</body></html>", "text/html")


@pytest.fixture
def answers(video: bytes) -> Answers:
    return Answers(video)


class Files:
    """A server with two sources: the gateway's `/content`, and the model's own link."""

    def __init__(self, content: Sequence[Answer], link: Sequence[Answer]) -> None:
        self._answers = {"content": list(content), "link": list(link)}
        self.exchanges: list[Exchange] = []

    async def __aenter__(self) -> "Files":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._busy: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._busy.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            method, path, _ = first.split(" ")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            exchange = Exchange(path, headers, method, writer)
            self.exchanges.append(exchange)
            source = self._answers["content" if path.endswith("/content") else "link"]
            await (source.pop(0) if len(source) > 1 else source[0])(exchange)
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await writer.wait_closed()
        self._busy.discard(task)

    @property
    def asked(self) -> list[str]:
        """Which source each GET was for."""
        return ["content" if exchange.path.endswith("/content") else "link" for exchange in self.exchanges]

    @property
    def turns(self) -> list[str]:
        """Likewise, a GET that was repeated at once (as aiohttp does after a reset) counted as one."""
        return [source for source, _ in itertools.groupby(self.asked)]


@dataclass
class Bench:
    """The parts of a story: a collector, its ledger, the server, and the folder of the run."""

    collector: Collector
    ledger: Ledger
    files: Files
    directory: Path
    tasks: list[TaskRecord]
    notices: list[str]


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Any]:
    """Runs a story with tasks in `collecting`; without one, collects the only task."""
    (tmp_path / "videos").mkdir()

    def run(
        content: Sequence[Answer],
        link: Sequence[Answer],
        story: Callable[[Bench], Awaitable[Any]] | None = None,
        ids: Sequence[str] = ("cat",),
        with_link: bool = True,
        limit: int = 4,
        differs: Callable[..., tuple[str, ...]] = lambda record, facts: (),
        child: Sequence[str] = (),
        starts: Sequence[float] = (0.0,),
        patience: float = 60.0,
        with_frame: bool = False,
        on: str = "ray",
    ) -> Any:
        async def go() -> Any:
            async with AsyncExitStack() as stack:
                files = await stack.enter_async_context(Files(content, link))
                ledger = await stack.enter_async_context(Ledger.open(tmp_path))
                settings = GatewaySettings(files.url)
                gateway = await stack.enter_async_context(
                    Gateway.open(settings, ApiKey("sk-canary", "a test"))
                )
                url = f"{files.url}/files/a.mp4?X-Tos-Signature=abc" if with_link else ""
                tasks = await finished(ledger, ids, url, f"{files.url}/frame.jpg" if with_frame else None)
                videos, cluster, notices = LocalVideos(tmp_path), None, list[str]()
                if child:
                    setup = ClusterSetup(on, files.url, "", str(tmp_path))
                    here = Fetcher(gateway, videos)
                    remote = RemoteFetcher(here, videos, setup, notices.append, child, starts, patience)
                    cluster = await stack.enter_async_context(remote.working())
                collector = Collector(
                    ledger,
                    gateway,
                    Clock(SCALE),
                    videos,
                    limit,
                    differs,
                    lambda record: 1 << 30,
                    cluster=cluster,
                )
                parts = Bench(collector, ledger, files, tmp_path, tasks, notices)
                if story:
                    return await story(parts)
                await collector.collect(tasks[0].key)
                return await ledger.task(tasks[0].key), files

        return asyncio.run(go())

    return run


async def finished(
    ledger: Ledger, ids: Sequence[str], url: str, frame: str | None = None
) -> list[TaskRecord]:
    """Tasks that the gateway has generated."""
    wanted = [wanted_task({"model": "fast", "prompt": task_id}, id=task_id) for task_id in ids]
    plan = Plan("night", "/a/night.yaml", plan_tasks(wanted))
    await ledger.reconcile(plan, frozenset())
    for number, task in enumerate(plan.tasks):
        attempt = await ledger.claim(task.key, number, None)
        known = AttemptFacts(remote_id=RemoteId(f"task_{number}"), accepted_at=1.0)
        await ledger.move(task.key, Move(Event.ACCEPTED, TaskState.GENERATING, facts=known), attempt.id)
        links = AttemptFacts(result_url=url, last_frame_url=frame)
        ended = Move(Event.SUCCEEDED, TaskState.COLLECTING, facts=links)
        await ledger.move(task.key, ended, attempt.id)
    return [await ledger.task(task.key) for task in plan.tasks]


@pytest.fixture
def on_disk(tmp_path: Path) -> Callable[[], dict[str, bytes]]:
    """Everything in the folder for videos, hidden files included."""
    return lambda: {
        path.name: path.read_bytes() for path in (tmp_path / "videos").iterdir() if path.is_file()
    }


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], TaskRecord]:
    """The only task, as it is on disk after a story that did not end well."""

    async def read() -> TaskRecord:
        async with LedgerReader.open_existing(tmp_path) as reader:
            (task,) = await reader.tasks()
            return task

    return lambda: asyncio.run(read())
