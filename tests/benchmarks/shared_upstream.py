"""Whole runs in virtual time that share an upstream, and the gateway's own book of who held its slots when.

The runs are the real program, as in `tests/integration/machine`. The gateway is the scripted one from there,
with the simulator's refresh loop and its slots; it charges each account, and may stop knowing one of them.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchrunner.core.model import Plan, RunSettings
from batchrunner.engine import session
from batchrunner.engine.accounts import GivenAccount
from batchrunner.engine.job import Job
from batchrunner.gateway import ApiKey, GatewaySettings, wire
from batchrunner.gateway.wire import Answer
from batchrunner.manifest.limits_file import load_limits
from batchrunner.output.summary import Summary
from batchrunner.simulator.capacity import Slots
from batchrunner.simulator.life import Ending, Life, ObservedLife, Timings
from batchrunner.simulator.loop import RefreshLoop
from tests.harness.account import ACCEPTED, ANSWER, GENERATION, QUEUED
from tests.harness.plans import plan_tasks, wanted_task
from tests.integration.machine import fates
from tests.integration.machine.gateway import Charge, Client, World
from tests.integration.machine.virtual import Process, VirtualLoop, replaced

REFRESH = 15.0
SIGMA = 0.25
"""Spread of the lengths of generations."""
DEFAULTS: Mapping[str, Any] = {
    "model": "dreamina-seedance-2-0-fast",
    "metadata": {"resolution": "480p", "ratio": "16:9", "duration": 5},
}
PACE = Timings(REFRESH, 0.0, 86400.0, 86400.0)


@dataclass(slots=True)
class Entry:
    """One accepted submission in the gateway's book; times in seconds since the beginning."""

    charge: Charge
    account: str
    """Whose key it came with."""
    observed: ObservedLife
    ended: float = math.inf
    """When a poll was first answered with its end; if none was, when one would have been."""

    @property
    def run(self) -> str:
        """The first word of the prompt."""
        return str(self.charge.body["prompt"]).split()[0]

    @property
    def held(self) -> tuple[float, float]:
        """From when until when the account's slot was held: as long as the client could not know its end."""
        return self.observed.life.created_at, self.ended

    @property
    def generated(self) -> tuple[float, float]:
        """From when until when it was generated."""
        return self.observed.life.running_at, self.observed.life.ended_at


class Upstream(World):
    """The gateway's side."""

    def __init__(self, loop: VirtualLoop, capacity: int | None = None, seed: int = 1) -> None:
        super().__init__(loop, watcher=_Nobody())
        self.book: dict[str, Entry] = {}
        self.revoked: dict[str, float] = {}
        """When the gateway stopped knowing an account's key."""
        self._dice, self._slots = random.Random(seed), Slots(capacity, 0.0, 1.0)
        self._rounds = RefreshLoop(-self._dice.uniform(0, REFRESH), PACE)

    @asynccontextmanager
    async def open(self, settings: object, key: object) -> AsyncIterator[AccountClient]:
        """In the place of `Gateway.open`; the key's origin names the account."""
        assert isinstance(key, ApiKey)
        yield AccountClient(self, key.origin)

    def knows(self, account: str) -> bool:
        """Whether the account's key is valid now."""
        return self.loop.time() < self.revoked.get(account, math.inf)

    def book_in(self, request: dict[str, Any], account: str) -> Entry:
        """Accept a submission."""
        now = self.loop.time()
        self._rounds.advance(now)
        running = self._slots.free_from(now + QUEUED)
        ended = running + GENERATION * math.exp(self._dice.gauss(0, SIGMA))
        observed = ObservedLife(Life(now, running, ended, Ending.SUCCEEDED), PACE)
        self._slots.take(running, ended)
        self._rounds.add(observed)
        charge = self.accept(0, "", request, self.now(), fates.Life("success", ended - now))
        self.book[charge.remote_id] = entry = Entry(charge, account, observed)
        return entry

    def shown(self, remote_id: str) -> Answer:
        """The answer to a poll: what the refresh loop has seen."""
        now, entry = self.loop.time(), self.book[remote_id]
        self._rounds.advance(now)
        phase = entry.observed.phase
        if phase.final:
            entry.ended = min(entry.ended, now)
            return Answer(200, entry.charge.shown(self.now()))
        task = {"task_id": remote_id, "status": phase.status, "data": {"status": phase.upstream or ""}}
        return Answer(200, json.dumps({"code": "success", "data": task}).encode())

    def close(self) -> None:
        """Nobody asks any more: what nobody was told of has ended when the gateway noticed."""
        self._rounds.advance(max((entry.generated[1] for entry in self.book.values()), default=0) + REFRESH)
        for entry in self.book.values():
            if math.isinf(entry.ended):
                entry.ended = entry.observed.phase.at


class AccountClient(Client):
    """The gateway as one account sees it."""

    def __init__(self, upstream: Upstream, account: str) -> None:
        super().__init__(upstream)
        self._upstream, self._account, self.key_origin = upstream, account, account

    async def submit(self, body: bytes) -> Any:
        await asyncio.sleep(ACCEPTED)
        if not self._upstream.knows(self._account):
            return wire.submit_outcome(REFUSED)
        name = self._upstream.book_in(json.loads(body), self._account).charge.remote_id
        return wire.submit_outcome(Answer(200, json.dumps({"id": name, "task_id": name}).encode()))

    async def poll(self, remote_id: str) -> Any:
        await asyncio.sleep(ANSWER)
        answer = self._upstream.shown(remote_id) if self._upstream.knows(self._account) else REFUSED
        return wire.poll_outcome(answer, remote_id)


REFUSED = Answer(401, fates.openai_error("invalid_api_key"))


class _Nobody:
    """A watcher that looks at nothing."""

    def submission(self, body: dict[str, Any]) -> tuple[int, str]:
        raise AssertionError("the book has its own way in")

    def answered(self, outcome: object) -> None: ...
    def first_poll(self, remote_id: str) -> None: ...
    def fetching(self, remote_id: str) -> None: ...
    def moment(self, name: str) -> None: ...


# --- the runs ---------------------------------------------------------------------------------------------


def job(folder: Path, name: str, tasks: int, *accounts: GivenAccount, **settings: Any) -> Job:
    """The job of a run named so, whose prompts begin with the name; its directory is in the folder."""
    wanted = [
        wanted_task({**DEFAULTS, "prompt": f"{name} {number}"}, id=f"{name}-{number}")
        for number in range(tasks)
    ]
    run = RunSettings(**{"canary": False, "disk_reserve": 0, **settings})
    plan = Plan(name, f"/a/{name}.yaml", plan_tasks(wanted), run)
    origin = Client.origin
    given = accounts or (account("", None),)
    return Job(
        folder / name,
        load_limits(),
        GatewaySettings(origin),
        origin,
        lambda: given[0].key,
        plan,
        accounts=given,
    )


def account(name: str, concurrency: int | None) -> GivenAccount:
    """An account with a key of its own, known to the gateway by its name."""
    return GivenAccount(name, ApiKey(f"sk-{name or 'only'}", name or "only"), concurrency)


def play(
    upstream: Upstream, jobs: Callable[[], Sequence[Job]], seed: int = 1
) -> list[Summary | BaseException]:
    """Play these runs, all from the same moment on, to their ends; the same every time."""
    state, loop = random.getstate(), upstream.loop
    random.seed(seed)
    process = Process(loop)
    try:
        with replaced(loop, process, upstream.open, seed):
            # What the jobs share takes its time from the replaced clock.
            runs = [session.run(job) for job in jobs()]
            ended: list[Summary | BaseException] = process.run(_together(runs))
            upstream.close()
            process.bury()
    finally:
        loop.close()
        random.setstate(state)
    return ended


async def _together(runs: Iterable[Any]) -> list[Any]:
    return await asyncio.gather(*runs, return_exceptions=True)


# --- what came of it --------------------------------------------------------------------------------------


Periods = Sequence[tuple[float, float]]


def at(periods: Periods, moment: float) -> int:
    """How many of the periods include a moment."""
    return sum(since <= moment < until for since, until in periods)


def average(periods: Periods, since: float, until: float) -> float:
    """How many periods there are at once, on average over a time."""
    return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in periods) / (until - since)
