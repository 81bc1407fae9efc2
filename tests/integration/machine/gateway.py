"""The scripted gateway: what it charges is in its own book, and it tells the truth to nobody but the test."""

from __future__ import annotations

import asyncio
import io
import json
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import av

from batchrunner.core.outcome import (
    Fetched,
    FetchFailed,
    NotAdmitted,
    Preflight,
    PreflightOutcome,
    QueryFailed,
    QueryRefused,
    Receipt,
    Refusal,
    Unknown,
    UsageLog,
)
from batchrunner.gateway import usage, wire
from batchrunner.gateway.wire import Answer
from tests.integration.machine.fates import ACCEPTED, HTML, Fate, Life, error
from tests.integration.machine.virtual import EPOCH, VirtualLoop

DAY = 86400.0
LINKS = "https://links.example/"
PICTURE = ".jpg"
"""How the link to a last frame ends; before it, as a video's."""


@dataclass
class Charge:
    """One accepted submission, in the gateway's own book."""

    remote_id: str
    attempt: int
    """The ledger's number of the submission; 0 for a stranger with the same key."""
    key: str
    body: dict[str, Any]
    at: float
    """Unix seconds; may be long after the POST."""
    life: Life
    request_id: str = ""

    @property
    def length(self) -> int:
        """Seconds of the video; 4 to 15, by its number, where the request leaves them to the model."""
        asked: int = self.body["metadata"]["duration"]
        return asked if asked > 0 else 4 + int(self.remote_id.removeprefix("task_")) * 5 % 12

    @property
    def tokens(self) -> int:
        """What is charged in the end: at most what a request may cost at worst."""
        return tokens_of(self.length)

    @property
    def ends(self) -> float:
        """When the gateway shows its end."""
        return self.at + (DAY if self.life.ending == "expired" else self.life.seconds)

    def stands(self, now: float) -> bool:
        """Whether it is, or will be, charged and has not been given back."""
        return not (self.life.is_refunded and now >= self.ends)

    def shown(self, now: float) -> bytes:
        """The answer to a poll."""
        word, upstream = "IN_PROGRESS", "running"
        if now >= self.ends:
            word = "SUCCESS" if self.life.ending == "success" else "FAILURE"
            upstream = "succeeded" if word == "SUCCESS" else "failed"
        elif self.life.ending == "expired" and now >= self.at + self.life.seconds:
            upstream = "expired"
        metadata = self.body["metadata"]
        made = {"status": upstream, "seed": metadata.get("seed"), "duration": self.length}
        made |= {"resolution": metadata["resolution"], "ratio": metadata["ratio"]}
        made |= {"usage": {"total_tokens": self.tokens}}
        if self.life.code and word == "FAILURE":
            made["error"] = {"code": self.life.code, "message": "no"}
        task = {"task_id": self.remote_id, "status": word, "submit_time": self.at, "data": made}
        task |= {"properties": {"origin_model_name": self.body["model"]}}
        if word != "FAILURE":
            task["quota"] = 2800 if word == "SUCCESS" else 700_000
        if word != "IN_PROGRESS":
            task["finish_time"] = self.ends
        if word == "SUCCESS":
            task["result_url"] = f"{LINKS}{self.remote_id}"
            if metadata.get("return_last_frame"):
                made["content"] = {"last_frame_url": f"{LINKS}{self.remote_id}{PICTURE}"}
        return json.dumps({"code": "success", "data": task}).encode()


def tokens_of(seconds: int) -> int:
    """Of a video in 480p, 16:9."""
    return (24 * seconds + 1) * 864 * 496 // 1024


class Watcher(Protocol):
    """Looks at the disk at the moments that matter."""

    def submission(self, body: dict[str, Any]) -> tuple[int, str]: ...
    def answered(self, outcome: object) -> None: ...
    def first_poll(self, remote_id: str) -> None: ...
    def fetching(self, remote_id: str) -> None: ...
    def moment(self, name: str) -> None: ...


@dataclass
class World:
    """The gateway and its book; outlives every process of ours."""

    loop: VirtualLoop
    watcher: Watcher | None = None
    charges: dict[str, Charge] = field(default_factory=dict)
    fates: deque[Fate] = field(default_factory=deque)
    """Of the next submissions; every one after these is accepted."""
    lives: deque[Life] = field(default_factory=deque)
    poll_faults: deque[str] = field(default_factory=deque)
    fetch_faults: deque[str] = field(default_factory=deque)
    log_faults: deque[str] = field(default_factory=deque)
    preflights: deque[Preflight] = field(default_factory=deque)
    hidden: dict[str, float] = field(default_factory=dict)
    """Tasks that the gateway doesn't show until then (Unix seconds)."""
    polled: set[str] = field(default_factory=set)
    not_shown: Counter[str] = field(default_factory=Counter)
    fate_of: dict[int, Fate] = field(default_factory=dict)
    """By attempt."""

    def now(self) -> float:
        """Unix seconds."""
        return EPOCH + self.loop.time()

    def calm(self) -> None:
        """No faults any more."""
        for queue in (self.fates, self.lives, self.poll_faults, self.fetch_faults, self.log_faults):
            queue.clear()
        self.preflights.clear()
        self.hidden.clear()

    def stranger(self, like: dict[str, Any]) -> None:
        """Somebody else with this key submits."""
        self.accept(0, "", like, self.now(), Life("success", 60))

    def accept(
        self, attempt: int, key: str, body: dict[str, Any], at: float, life: Life | None = None
    ) -> Charge:
        """Enter a charge."""
        life = life or (self.lives.popleft() if self.lives else Life("success"))
        remote_id = f"task_{len(self.charges) + 1:06d}"
        charge = Charge(remote_id, attempt, key, body, at, life, f"req-{len(self.charges) + 1}")
        self.charges[remote_id] = charge
        return charge

    @asynccontextmanager
    async def open(self, settings: object, key: object) -> AsyncIterator[Client]:
        """In the place of `Gateway.open`."""
        yield Client(self)


class Client:
    """The methods of the real client; what the gateway's answers mean is decided by the real `wire`."""

    origin, key_origin = "https://gateway.example", "a test"

    def __init__(self, world: World) -> None:
        self._world = world

    async def preflight(self) -> PreflightOutcome:
        await asyncio.sleep(0.05)
        verdict = self._world.preflights.popleft() if self._world.preflights else Preflight.READY
        return PreflightOutcome(verdict, frozenset(), Receipt(message="as scripted"))

    async def quota_per_usd(self) -> None:
        """It doesn't say."""

    async def balance(self) -> None:
        """Nor that."""

    async def submit(self, body: bytes) -> Any:
        world, fate = self._world, self._world.fates.popleft() if self._world.fates else ACCEPTED
        assert world.watcher
        request = json.loads(body)
        attempt, key = world.watcher.submission(request)
        world.fate_of[attempt] = fate
        charge = (
            world.accept(attempt, key, request, world.now() + fate.charge_after) if fate.charged else None
        )
        world.watcher.moment("submitting")
        await asyncio.sleep(fate.seconds)
        outcome = _outcome(fate, charge)
        world.watcher.answered(outcome)
        world.watcher.moment("answered")
        return outcome

    async def poll(self, remote_id: str) -> Any:
        world = self._world
        assert world.watcher
        if remote_id not in world.polled:
            world.polled.add(remote_id)
            world.watcher.first_poll(remote_id)
        await asyncio.sleep(0.1)
        world.watcher.moment("polled")
        fault = world.poll_faults.popleft() if world.poll_faults else ""
        if fault == "cut":
            return QueryFailed(Receipt(code="no_answer"))
        answer = self._poll_answer(remote_id, fault)
        outcome = wire.poll_outcome(answer, remote_id)
        if type(outcome).__name__ == "NotVisible":
            world.not_shown[remote_id] += 1
        return outcome

    def _poll_answer(self, remote_id: str, fault: str) -> Answer:
        world, charge = self._world, self._world.charges.get(remote_id)
        gone = charge is None or charge.at > world.now() or world.hidden.get(remote_id, 0) > world.now()
        if fault in ("401", "403"):
            return Answer(int(fault), error("no"))
        if fault == "not_exist" or (gone and not fault):
            return Answer(400, error("task_not_exist"))
        if fault == "500":
            return Answer(500, error("get_task_failed"))
        if fault == "html":
            return Answer(502, HTML)
        if fault in ("null", "odd") or charge is None:
            task = {"task_id": remote_id, "status": "SNOOZING"} if fault == "odd" else None
            return Answer(200, json.dumps({"code": "success", "data": task}).encode())
        if fault == "other":
            return Answer(200, charge.shown(world.now()).replace(remote_id.encode(), b"task_other"))
        return Answer(200, charge.shown(world.now()))

    async def usage_log(self) -> Any:
        world, now = self._world, self._world.now()
        await asyncio.sleep(0.2)
        fault = world.log_faults.popleft() if world.log_faults else ""
        if fault in ("500", "cut"):
            return QueryFailed(Receipt(500, code="as_scripted"))
        if fault == "refused":
            return QueryRefused(Receipt(401))
        until = {"empty": 0.0, "late": now - 700}.get(fault, now)
        rows = []
        for charge in world.charges.values():
            for at, named in ((charge.at, False), (charge.ends, True)):
                if at <= until:
                    remote = charge.remote_id if named else None
                    row = {"created_at": at, "model_name": charge.body["model"], "type": 2}
                    row |= {"request_id": charge.request_id}
                    row["other"] = json.dumps({"task_id": remote} if named else {"is_task": True})
                    rows.append(row)
        rows.sort(key=lambda row: -row["created_at"])
        outcome = usage.usage_outcome(Answer(200, json.dumps({"success": True, "data": rows}).encode()))
        assert isinstance(outcome, UsageLog)
        return outcome

    async def meter_reading(self) -> Any:
        await asyncio.sleep(0.1)
        return None  # a gateway that does not show it

    async def sight(self, remote_id: str) -> Any:
        await asyncio.sleep(0.1)
        fault = self._world.poll_faults.popleft() if self._world.poll_faults else ""
        if fault == "cut":
            return QueryFailed(Receipt(code="no_answer"))
        answer = self._poll_answer(remote_id, fault)
        outcome = wire.poll_outcome(answer, remote_id)
        refused = isinstance(outcome, QueryRefused) or type(outcome).__name__ == "NotVisible"
        return usage.sighting(answer, remote_id) or (outcome if refused else QueryFailed(Receipt()))

    async def fetch_content(self, remote_id: str, write: Callable[[bytes], None], at_most: int) -> Any:
        return await self._fetch(remote_id, write)

    async def fetch_url(self, url: str, write: Callable[[bytes], None], at_most: int) -> Any:
        return await self._fetch(url.rpartition("/")[2], write)

    async def _fetch(self, name: str, write: Callable[[bytes], None]) -> Any:
        world, remote_id = self._world, name.removesuffix(PICTURE)
        assert world.watcher
        world.watcher.fetching(remote_id)
        world.watcher.moment("fetching")
        await asyncio.sleep(1.0)
        fault = world.fetch_faults.popleft() if world.fetch_faults else ""
        charge = world.charges.get(remote_id)
        if fault in ("404", "html") or charge is None or charge.life.ending != "success":
            return FetchFailed(Receipt(404))
        whole = picture_of(remote_id) if name.endswith(PICTURE) else video_of(remote_id)
        body = {"half": whole[: len(whole) // 2], "garbage": b"\0" * len(whole), "cut": whole[:99]}.get(
            fault, whole
        )
        await asyncio.to_thread(write, body)
        world.watcher.moment("fetched")
        return FetchFailed(Receipt(code="no_answer")) if fault == "cut" else Fetched(len(body))


def _outcome(fate: Fate, charge: Charge | None) -> Any:
    """What the client makes of it; the real `wire` reads every answer."""
    if not fate.connected:
        return NotAdmitted(Refusal.UNREACHABLE, Receipt(code="no_answer"))
    if fate.shows_id and charge:
        body = json.dumps({"id": charge.remote_id, "task_id": charge.remote_id}).encode()
        return wire.submit_outcome(Answer(200, body, charge.request_id))
    if fate.answer is None:
        return Unknown(Receipt(code="timeout" if fate.seconds > 60 else "no_answer"))
    return wire.submit_outcome(fate.answer)


@cache
def _video() -> bytes:
    """A small real video."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((number * 9 + index) % 256 for index in range(plane.buffer_size)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def video_of(remote_id: str) -> bytes:
    """A video that no other task has: its name stands in a box that players skip."""
    return _video() + struct.pack(">I4s", 8 + len(remote_id), b"free") + remote_id.encode()


def picture_of(remote_id: str) -> bytes:
    """A last frame that no other task has: its name stands in a comment, and all of them look the same."""
    picture, name = _picture(), remote_id.encode()
    return picture[:2] + struct.pack(">HH", 0xFFFE, 2 + len(name)) + name + picture[2:]


@cache
def _picture() -> bytes:
    """The last frame of all videos, as a JPEG."""
    with av.open(io.BytesIO(_video())) as container:
        *_, last = container.decode(video=0)
    file = io.BytesIO()
    last.to_image().save(file, "JPEG")
    return file.getvalue()
