"""The real client against small servers that a test words byte by byte."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from batchrunner.gateway import ApiKey, Gateway, GatewaySettings

KEY = "sk-canary-4f1d"
BODY = b'{"model": "fast", "prompt": "a cat", "metadata": {}}'


@dataclass
class Request:
    """One request as it came in, and the connection that it came on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    reader: asyncio.StreamReader = field(repr=False)
    writer: asyncio.StreamWriter = field(repr=False)

    async def send(self, data: bytes) -> None:
        """Send some bytes now."""
        self.writer.write(data)
        await self.writer.drain()

    async def reply(
        self, status: int = 200, body: bytes = b"", kind: str = "application/json", **headers: str
    ) -> None:
        """Send a whole answer; names of headers may have underscores for dashes."""
        lines = [f"HTTP/1.1 {status} Some Reason", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines).encode("latin-1", "surrogateescape") + b"\r\n\r\n"
        await self.send(head + body)

    def reset(self) -> None:
        """End the connection as a server that dies does."""
        self.writer.transport.abort()


Answering = Callable[[Request], Awaitable[None]]


class Server:
    """A server on a free port of this machine; every request and connection is noted."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.connections = 0

    async def __aenter__(self) -> "Server":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._writers: set[asyncio.StreamWriter] = set()
        self._busy: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def posts(self) -> list[Request]:
        """The submissions among the requests."""
        return [request for request in self.requests if request.method == "POST"]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._busy.add(task)
        self._writers.add(writer)
        self.connections += 1
        number = self.connections
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    request = await self._read(reader, writer, number)
                    self.requests.append(request)
                    await self.answer(request)
        finally:
            writer.close()
            with suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self._writers.discard(writer)
            self._busy.discard(task)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, target, headers, body, number, reader, writer)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxies this machine has, they are not part of a test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def key() -> str:
    return KEY


@pytest.fixture
def body() -> bytes:
    return BODY


Client = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def client() -> Client:
    """Opens the real client for an address, with the usual key or another; further settings by name."""

    def opened(base_url: str, key: str = KEY, **settings: Any) -> AbstractAsyncContextManager[Gateway]:
        return Gateway.open(GatewaySettings(base_url, **settings), ApiKey(key, "a test"))

    return opened


@pytest.fixture
def meet(client: Client) -> Callable[..., Any]:
    """Runs `story(gateway, *servers)` with the client pointed at the first of servers that answer as told."""

    def run(
        story: Callable[..., Awaitable[Any]], *answers: Answering, base_url: str = "", **settings: Any
    ) -> Any:
        async def go() -> Any:
            async with AsyncExitStack() as stack:
                servers = [await stack.enter_async_context(Server(answer)) for answer in answers]
                gateway = await stack.enter_async_context(client(base_url or servers[0].url, **settings))
                return await story(gateway, *servers)

        return asyncio.run(go())

    return run
