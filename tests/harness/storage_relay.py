"""A relay before an object storage: passes requests on, except those that a test has a rule for."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.harness.loopback_server import LoopbackServer
from tests.harness.processes import PATIENCE

UNPASSED = {"transfer-encoding", "connection", "content-length", "server", "date"}


@dataclass
class StorageExchange:
    """One request, and the means to answer it."""

    handler: BaseHTTPRequestHandler
    body: bytes
    upstream: str

    def pass_on(self, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Let the storage have it, the Host header included, which is signed; return the answer."""
        data = self.body if body is None else body
        with closing(http.client.HTTPConnection(self.upstream, timeout=PATIENCE)) as connection:
            connection.putrequest(self.handler.command, self.handler.path, True, True)
            for name, value in self.handler.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders(data or None)
            answer = connection.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in UNPASSED}
            length = {"Content-Length": answer.headers.get("Content-Length", "0")}
            content = answer.read()
            length = length if self.handler.command == "HEAD" else {"Content-Length": str(len(content))}
            return answer.status, kept | length, content

    def send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """A whole answer."""
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name, value)
        self.handler.end_headers()
        self.handler.wfile.write(body)

    def reset(self) -> None:
        """End the connection as a server that dies does."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.handler.connection.close()


Answering = Callable[[StorageExchange], None]


def refuses(status: int, code: str, message: str = "refused") -> Answering:
    """An error in the form that S3 has."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    headers = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    return lambda exchange: exchange.send(status, headers, body)


def passes(exchange: StorageExchange) -> None:
    """As without a rule."""
    exchange.send(*exchange.pass_on())


def loses_request(exchange: StorageExchange) -> None:
    """The connection is cut before the storage has the request."""
    exchange.reset()


def loses_answer(exchange: StorageExchange) -> None:
    """The storage has the request, and the connection is cut."""
    exchange.pass_on()
    exchange.reset()


def damages(exchange: StorageExchange) -> None:
    """One byte changes on its way."""
    exchange.send(*exchange.pass_on(bytes([exchange.body[0] ^ 1]) + exchange.body[1:]))


@dataclass
class HeldRequest:
    """Holds a request: before it is passed on, or (`after`) with the answer in hand."""

    after: bool = False
    arrived: threading.Event = field(default_factory=threading.Event)
    _go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, exchange: StorageExchange) -> None:
        answer = exchange.pass_on() if self.after else None
        self.arrived.set()
        self._go.wait(PATIENCE)
        if self.after or not self._dropped:
            exchange.send(*(answer or exchange.pass_on()))

    _dropped: bool = False

    def reached(self) -> None:
        """Wait until a request is held."""
        assert self.arrived.wait(PATIENCE), "timed out waiting for a request to hold"

    def go_on(self) -> None:
        """Let the request through."""
        self._go.set()

    def drop(self) -> None:
        """Forget the request: whoever sent it is gone."""
        self._dropped = True
        self._go.set()


@dataclass
class StorageRule:
    """What befalls requests of one method whose path ends so, at most so many of them."""

    method: str
    ending: str
    what: Answering
    left: float


class StorageRelay:
    """The server; `url` is where the program finds it."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.removeprefix("http://")
        self._rules, self._lock = list[StorageRule](), threading.Lock()
        self.asked: list[tuple[str, str]] = []
        """Every request: method and path."""
        self._server = LoopbackServer(self.meet)
        self.url, self.close = self._server.url, self._server.close

    def rule(self, method: str, ending: str, what: Answering, times: float = float("inf")) -> StorageRule:
        """Let `what` befall such requests; the first rule counts."""
        rule = StorageRule(method, ending, what, times)
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget the rules."""
        self._rules = []

    def count(self, method: str, ending: str = "") -> int:
        """How many such requests came."""
        return sum(one == method and path.endswith(ending) for one, path in self.asked)

    def meet(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer a request: as the first rule that fits says, or as the storage does."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        method, path = handler.command, handler.path.partition("?")[0]
        exchange = StorageExchange(handler, body, self._upstream)
        with self._lock:
            self.asked.append((method, path))
            fits = (r for r in self._rules if r.method == method and path.endswith(r.ending) and r.left > 0)
            rule = next(fits, None)
            if rule:
                rule.left -= 1
        try:
            (rule.what if rule else passes)(exchange)
        except OSError:
            handler.close_connection = True  # the program has gone
