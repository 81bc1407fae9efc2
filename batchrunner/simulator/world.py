"""What every route needs: the night's state in one place, and the answers that all routes share."""

import asyncio
import secrets
import socket
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from batchrunner.simulator import wire
from batchrunner.simulator.book import Book
from batchrunner.simulator.chance import letters
from batchrunner.simulator.keys import Key, find_key
from batchrunner.simulator.life import Pace
from batchrunner.simulator.refusal import Refusal, Refused
from batchrunner.simulator.rules import Rule, Tally
from batchrunner.simulator.scenario import Scenario
from batchrunner.simulator.tasks import Task, Tasks
from batchrunner.simulator.videos import Videos

VERSION = "v0.0.0"

_BUFFERED = 2048  # bytes; Go sends a longer answer in chunks

Clock = Callable[[], float]  # tells the Unix time in seconds

REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
EDGE: web.RequestKey[bool] = web.RequestKey("edge", bool)  # the answer is not the gateway's own


class World:
    """One simulated gateway: scenario, charge book, tasks, counts and clock."""

    def __init__(
        self, book: Book, scenario: Scenario, time_scale: float, directory: Path, clock: Clock
    ) -> None:
        settings = book.settings()
        self._clock = clock
        self.scenario = scenario
        self.time_scale = time_scale
        self.started_at = float(settings.get("started_at", self.now()))  # of the first start
        self.pace = Pace(
            refresh=scenario.refresh_seconds * time_scale,
            line=scenario.line_seconds * time_scale,
            timeout=scenario.timeout_seconds * time_scale,
            link=scenario.link_seconds * time_scale,
        )
        self.book = book
        self.tasks = Tasks(book.charges, self.started_at, self.pace, scenario.capacity)
        self.tally = Tally(scenario.faults, scenario.seed, book.counts)
        self.videos = Videos(directory / "pictures")
        self.files_url = ""  # known once the file server listens
        self.requests: Counter[str] = Counter()  # "POST /v1/video/generations"
        self.refusals: Counter[str] = Counter()  # "400 invalid_request", of submissions
        self.lookups: list[float] = []  # times of the rate-limited look-ups
        self.closing = asyncio.Event()  # ends what would hang for ever

    def now(self) -> float:
        """Unix seconds, in microseconds as the book keeps them."""
        return round(self._clock(), 6)

    def catch_up(self) -> None:
        """Let the gateway's refresh loop do what it would have done by now."""
        self.tasks.catch_up(self.now())

    def new_request_id(self) -> str:
        """A request id that nothing else has."""
        return wire.request_id(int(self._clock() * 1e9), letters(8, secrets.token_bytes(8)))

    def pick(self, on: str, prompt: str, source: str = "content") -> Rule | None:
        """The fault that befalls a request, counted, and written down unless a charge's line will be."""
        at = (self.now() - self.started_at) / self.time_scale
        rule = self.tally.pick(on, prompt, at, source)
        if rule is not None and on != "generate":
            self.book.fault(f"{on}:{rule.do}", self.now(), self.tally.counts)
        return rule

    def key(self, request: web.Request) -> Key:
        """The key of a request; raises Refused (401) where it is unknown or used up."""
        key = find_key(self.scenario.keys, request.headers.get("Authorization"))
        if key is None or (key.quota is not None and self.key_left(key) <= 0):
            raise Refused(invalid_token(request))
        return key

    def key_left(self, key: Key) -> int:
        """Quota units that a key with a quota has left."""
        return (key.quota or 0) - self.tasks.spent(key.name)

    def task(self, request: web.Request) -> Task | None:
        """The task that the path names, if there is one."""
        return self.tasks.find(request.match_info["id"])


def invalid_token(request: web.Request) -> Refusal:
    """401, in the caller's language."""
    chinese = request.headers.get("Accept-Language", "").lower().startswith("zh")
    return Refusal(401, "openai", "", "无效的令牌" if chinese else "Invalid token")


def json_answer(value: Any, status: int = 200, content_type: str = wire.JSON) -> web.Response:
    """An answer in JSON as the gateway writes it."""
    body = value if isinstance(value, bytes) else wire.dumps(value)
    response = web.Response(status=status, body=body, headers={"Content-Type": content_type})
    if len(body) > _BUFFERED:
        response.enable_chunked_encoding()
    return response


def refused_answer(request: web.Request, refusal: Refusal) -> web.Response:
    """The answer to a refused request."""
    response = json_answer(wire.refused(refusal, request[REQUEST_ID]), refusal.status)
    response.headers.update(refusal.headers)
    return response


def without_gateway(request: web.Request) -> None:
    """The answer shall not bear the gateway's own headers."""
    request[EDGE] = True


def edge_answer(request: web.Request, status: int, html: str) -> web.Response:
    """A web page from something in front of the gateway: without the gateway's own headers."""
    without_gateway(request)
    return web.Response(status=status, text=html, content_type="text/html")


def reset(request: web.Request) -> web.Response:
    """Reset the connection; what is returned goes nowhere."""
    transport = request.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        # A linger of 0 makes the close a reset, as a gateway's death looks to its client.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
