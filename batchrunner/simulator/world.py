"""The simulator's state, shared by all routes."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from batchrunner.simulator import rendering
from batchrunner.simulator.answers import invalid_token, reset
from batchrunner.simulator.api_keys import Key, find_key
from batchrunner.simulator.book import Book
from batchrunner.simulator.capacity import Slots
from batchrunner.simulator.chance import letters
from batchrunner.simulator.faults import GENERATE, REFRESH
from batchrunner.simulator.first_frames import FirstFrames
from batchrunner.simulator.life import Timings
from batchrunner.simulator.refusal import Denied
from batchrunner.simulator.rules import Rule, RuleCounts
from batchrunner.simulator.scenario import Scenario
from batchrunner.simulator.tasks import Task, Tasks
from batchrunner.simulator.videos import Videos

VERSION = "v0.0.0"

Clock = Callable[[], float]  # returns the Unix time in seconds


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
        self.pace = Timings(
            refresh=scenario.refresh_seconds * time_scale,
            line=scenario.line_seconds * time_scale,
            timeout=scenario.timeout_seconds * time_scale,
            link=scenario.link_seconds * time_scale,
            first_status="SUBMITTED" if scenario.documented else "NOT_START",
        )
        self.book = book

        def slots(user: str) -> Slots:
            return Slots(scenario.user(user).capacity, self.started_at, time_scale)

        self.tasks = Tasks(book.charges, self.started_at, self.pace, slots, scenario.user_of)
        self.tally = RuleCounts(scenario.faults, scenario.seed, book.counts)
        self.videos = Videos(directory / "pictures")
        self.first_frames = FirstFrames(directory / "inputs")
        self.files_url = self.gateway_url = ""  # known once the servers listen
        self.requests: Counter[str] = Counter()  # "POST /v1/video/generations"
        self.refusals: Counter[str] = Counter()  # "400 invalid_request", of submissions
        self.lookups: list[float] = []  # times of the rate-limited look-ups
        self.closing = asyncio.Event()  # ends requests that would hang forever

    def now(self) -> float:
        """Unix seconds, rounded to microseconds as in the book."""
        return round(self._clock(), 6)

    def catch_up(self) -> None:
        """Let the gateway's refresh loop catch up."""
        self.tasks.catch_up(self.now())

    def new_request_id(self) -> str:
        """A unique request ID."""
        return rendering.request_id(int(self._clock() * 1e9), letters(8, secrets.token_bytes(8)))

    def nominal(self) -> float:
        """Nominal seconds since the first start."""
        return (self.now() - self.started_at) / self.time_scale

    def pick(self, on: str, prompt: str = "", task: str = "", source: str = "content") -> Rule | None:
        """The fault that applies to a request; counted, and recorded unless the charge will record it."""
        rule = self.tally.pick(on, self.nominal(), prompt, task, source)
        if on in (GENERATE, REFRESH):
            return rule
        counts = self.tally.changes()
        if rule is not None:
            self.book.fault(f"{on}:{rule.do}", self.now(), counts)
        elif counts:
            self.book.count(counts)
        return rule

    async def hang(self, request: web.Request, seconds: float) -> web.Response:
        """Send nothing for this many nominal seconds, then reset the connection."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), seconds * self.time_scale)
        return reset(request)

    def key(self, request: web.Request) -> Key:
        """The key of a request; raises Denied (401) if it is unknown or exhausted."""
        key = self.known_key(request)
        if key is None or (key.quota is not None and self.key_left(key) <= 0):
            raise Denied(invalid_token(request))
        return key

    def known_key(self, request: web.Request) -> Key | None:
        """The key of a request if the gateway knows it, exhausted or not."""
        return find_key(self.scenario.keys, request.headers.get("Authorization"), self.nominal())

    def key_left(self, key: Key) -> int:
        """Quota units that a key with a quota has left."""
        return (key.quota or 0) - self.spent(key.name)

    def spent(self, key: str) -> int:
        """Quota units taken so far from the key of that name."""
        return self.tasks.spent(key) + self.book.holds[key]

    def balance(self, user: str) -> int | None:
        """Quota units that a user has left; None: unlimited."""
        granted, user_of = self.scenario.user(user).balance, self.scenario.user_of
        held = sum(quota for key, quota in self.book.holds.items() if user_of(key) == user)
        return None if granted is None else granted - self.tasks.spent_by(user) - held

    def task(self, request: web.Request, key: Key) -> Task | None:
        """The task that the path names, if the key's user has it."""
        return self.tasks.find(request.match_info["id"], key.user)
