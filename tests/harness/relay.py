"""A proxy between the command and the simulator: passes requests on, except those a test answers itself.

With it any answer can be given to any request, charged or not, and a request can be held at the moment
that a test is about. The charge book stays the simulator's.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.harness.gateway import SimulatedGateway
from tests.harness.loopback_server import LoopbackServer
from tests.harness.processes import PATIENCE

KINDS = {
    "POST /v1/video/generations": "submit",
    "GET /v1/video/generations/": "poll",
    "GET /v1/videos/": "content",
    "GET /v1/models": "models",
    "GET /api/log/token": "usage",
    "GET /api/usage/token/": "meter",
}
UNPASSED = {"transfer-encoding", "connection", "content-length", "server", "date"}


@dataclass
class Exchange:
    """One request, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    kind: str
    prompt: str
    body: bytes
    upstream: str

    def pass_on(self) -> tuple[int, dict[str, str], bytes]:
        """Let the simulator have it; return its answer, which nobody else has seen yet."""
        headers = {k: v for k, v in self.handler.headers.items() if k.lower() not in ("host", "connection")}
        with closing(http.client.HTTPConnection(self.upstream, timeout=PATIENCE)) as connection:
            connection.request(self.handler.command, self.handler.path, self.body or None, headers)
            with connection.getresponse() as answer:
                kept = {k: v for k, v in answer.getheaders() if k.lower() not in UNPASSED}
                return answer.status, kept, answer.read()

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer."""
        self.handler.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def reset(self) -> None:
        """End the connection as a server that dies does."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()


What = Callable[[Exchange], None]


@dataclass
class Hold:
    """Holds requests: until `release` before they are passed on, or (`after`) with the answer in hand."""

    after: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, exchange: Exchange) -> None:
        answer = exchange.pass_on() if self.after else None
        self.arrived.set()
        self._go.wait(PATIENCE)
        exchange.send(*(answer or exchange.pass_on()))

    def reached(self) -> Hold:
        """Wait until a request is held."""
        assert self.arrived.wait(PATIENCE), "timed out waiting for a request to hold"
        return self

    def release(self) -> None:
        """Let it go on."""
        self._go.set()


@dataclass
class Rule:
    """What befalls the requests of one kind, at most so many of them."""

    kind: str
    what: What
    prompt: str
    left: float
    count: int = 0


class Relay:
    """The server; `url` is where the command finds it."""

    def __init__(self, gateway: SimulatedGateway) -> None:
        self._gateway, self._rules, self._lock = gateway, list[Rule](), threading.Lock()
        self.asked: list[tuple[str, str]] = []
        """Every request: its kind, and the beginning of its task's prompt."""
        self._server = LoopbackServer(self.meet)
        self.url, self.close = self._server.url, self._server.close

    def rule(self, kind: str, what: What, prompt: str = "", times: float = float("inf")) -> Rule:
        """Let `what` befall the requests of this kind, of tasks with such a prompt; the first rule counts."""
        rule = Rule(kind, what, prompt, times)
        self._rules.append(rule)
        return rule

    def hold(self, kind: str, prompt: str = "", after: bool = False) -> Hold:
        """Hold the first such request."""
        hold = Hold(after)
        self.rule(kind, hold, prompt, 1)
        return hold

    def clear(self) -> None:
        """Forget the rules."""
        self._rules = []

    def count(self, kind: str, prompt: str = "") -> int:
        """How many such requests came."""
        return sum(k == kind and p.startswith(prompt) for k, p in self.asked)

    @staticmethod
    def says(
        status: int, body: bytes | str | dict[str, Any] = b"", charged: bool = False, **headers: str
    ) -> What:
        """An answer of the test's own; with `charged` the simulator has the request before. _ is a dash."""
        kind = "application/json" if isinstance(body, dict) else "text/html"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        data = data.encode() if isinstance(data, str) else data
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        def answer(exchange: Exchange) -> None:
            if charged:
                exchange.pass_on()
            exchange.send(status, {"Content-Type": kind} | named, data)

        return answer

    @staticmethod
    def changed(edit: Callable[[dict[str, Any]], Any], headers: dict[str, str] | None = None) -> What:
        """The simulator's own answer, its JSON edited in place (or what `edit` returns instead)."""

        def answer(exchange: Exchange) -> None:
            status, given, body = exchange.pass_on()
            value = json.loads(body)
            value = edit(value) or value
            exchange.send(status, given | (headers or {}), json.dumps(value).encode())

        return answer

    def meet(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request: as the first rule that fits says, or as the simulator does."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        line = f"{handler.command} {handler.path}"
        kind = next((kind for start, kind in KINDS.items() if line.startswith(start)), line)
        exchange = Exchange(
            handler,
            kind,
            self._prompt(kind, handler.path, body),
            body,
            self._gateway.url.removeprefix("http://"),
        )
        with self._lock:
            self.asked.append((kind, exchange.prompt))
            rule = next((r for r in self._rules if self._fits(r, exchange)), None)
            if rule:
                rule.left -= 1
                rule.count += 1
        try:
            rule.what(exchange) if rule else exchange.send(*exchange.pass_on())
        except OSError:
            handler.close_connection = True  # the command has gone

    @staticmethod
    def _fits(rule: Rule, exchange: Exchange) -> bool:
        return rule.kind == exchange.kind and rule.left > 0 and exchange.prompt.startswith(rule.prompt)

    def _prompt(self, kind: str, path: str, body: bytes) -> str:
        if kind == "submit":
            return str(json.loads(body).get("prompt", ""))
        prompts = {charge["remote_id"]: charge["prompt"] for charge in self._gateway.charges()}
        parts = path.split("/")
        return next((prompts[part] for part in parts if part in prompts), "")
