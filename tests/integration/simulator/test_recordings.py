"""Every recorded exchange with a real gateway, replayed at its recorded time and compared in full.

The simulator's clock is set to the moment of each exchange, the model behind it is as the recorder's was, and
its refresh loop wakes when that one woke; so even times are compared. What differs is named in MEANT, and
nowhere else.
"""

import asyncio
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from batchrunner.simulator import Scenario, Simulator

FOLDER = Path(__file__).parents[2] / "data" / "recordings"
RECORDINGS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
MODEL = {
    "queue_seconds": 3,
    "generation_seconds": 7,
    "generation_sigma": 0,
    "line_seconds": 1,
    "faults": [{"on": "submit", "do": "slow_accept", "prompt": "abandoned", "seconds": 0.5}],
}
LOOP_WOKE = 1795372422.45  # the recorded polls and usage rows leave it between .25 and .7

OWN_FILE = dict.fromkeys(("body.bytes", "body.sha256"), "the simulator makes each task a video of its own")
BILLED = "the recorder's model billed no input video, and one of the tasks has one"
OWN_LENGTH = {"headers.Content-Length": "the length of that video"}
MEANT = {  # recording → place → reason; what is no longer different must go
    "60-poll-ok-success": {"body.data.data.content": "the recorder's model ignored return_last_frame"},
    "61-poll-duration-only-success": {"body.data.data.seed": "the model draws what the request leaves open"},
    "64-content-ok": OWN_FILE | OWN_LENGTH,
    "65-content-range": OWN_FILE | OWN_LENGTH,
    "69-content-short": OWN_FILE | OWN_LENGTH,
    "70-content-chunked": OWN_FILE,
    "73-usage-token": dict.fromkeys(("body.data.total_available", "body.data.total_used"), BILLED),
    "76-billing-usage": {"body.total_usage": BILLED},
    "81-poll-abandoned-success": {"body.data.start_time": "the recorder's model kept this one queued longer"},
}

OF_ITS_OWN = ("Date", "Etag", "Server", "X-Tos-Request-Id")  # headers whose values are not kept
MASKS = [
    (re.compile(r"(cgt-\d{14})-\d{5}"), r"\1-<number>"),
    (re.compile(r"https?://[^/\"]+/files/([^?\"]+)\?X-Tos[^\"\\]+"), r"<files>/\1?<signed>"),
    (re.compile(r"Request id: 02\d{13}"), "Request id: <number>"),
    (re.compile(r"\d{23}8268d9d6\w{8}"), "<request id>"),
]


def test_all_81_recordings_are_here() -> None:
    """None was lost on the way, and no difference is meant of one that does not exist."""
    assert [int(name.partition("-")[0]) for name in RECORDINGS] == list(range(1, 82))
    assert set(MEANT) <= set(RECORDINGS)


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_simulator_answers_as_recorded(name: str, replayed: dict[str, tuple[Any, Any]]) -> None:
    """Status, headers, names in their order, types and values; ids stand for each other consistently."""
    found = list(differences(*replayed[name]))
    assert {place for place, _, _ in found} == set(MEANT.get(name, ())), found


def differences(recorded: Any, answered: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two values differ: the place, what was recorded, what the simulator answered."""
    if isinstance(recorded, dict) and isinstance(answered, dict) and list(recorded) == list(answered):
        for name in recorded:
            yield from differences(recorded[name], answered[name], f"{place}.{name}".lstrip("."))
    elif isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        for index, pair in enumerate(zip(recorded, answered, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    elif type(recorded) is not type(answered) or recorded != answered:
        yield place, recorded, answered


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Any, Any]]:
    """What was recorded and what the simulator answers, by name."""
    replay = Replay(tmp_path_factory.mktemp("replay"))
    asyncio.run(replay.night())
    return replay.answers


class Replay:
    """Sends the recorded requests to a simulator whose clock it sets."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._now = LOOP_WOKE - 15
        self._recorded_ids: dict[str, str] = {}  # what an id stands for
        self._own_ids: dict[str, str] = {}
        self.answers: dict[str, tuple[Any, Any]] = {}

    async def night(self) -> None:
        """All recordings in their order, and between them what was done without being recorded."""
        *first, limited, too_large, rows, abandoned = RECORDINGS
        async with self._gateway() as sim, aiohttp.ClientSession(sim.url) as session:
            for name in first:
                await self._replay(session, name)
            await self._abandon(session)
            for _ in range(18):  # two were recorded
                await self._send(session, RECORDINGS["73-usage-token"]["request"])
            await self._replay(session, limited)
            self._now += 30
            for _ in range(3):  # large ones, of which only the usage rows are seen
                await self._send(session, RECORDINGS["04-submit-ok"]["request"])
            await self._replay(session, too_large)
        # The limit on look-ups lasts 20 minutes, and these came after 7: the recorder's had been restarted.
        async with self._gateway() as sim, aiohttp.ClientSession(sim.url) as session:
            await self._replay(session, rows)
            await self._replay(session, abandoned)

    def _gateway(self) -> Simulator:
        return Simulator(self._state, Scenario.from_dict(MODEL), clock=lambda: self._now)

    async def _replay(self, session: aiohttp.ClientSession, name: str) -> None:
        recording = RECORDINGS[name]
        self._now = recording["at"]
        answer = await self._send(session, recording["request"])
        expected = {**recording["response"], "cut": "problem" in recording}
        expected["headers"] = dict(sorted(expected["headers"].items()))
        for ids, side in ((self._recorded_ids, expected), (self._own_ids, answer)):
            if request_id := side["headers"].get("X-Oneapi-Request-Id"):
                ids[request_id] = f"<request {name}>"
            if "-submit-" in name and side["status"] == 200:
                ids[side["body"]["task_id"]] = f"<task {name}>"
        if name.endswith(("-log-token", "-log-token-abandoned")):  # of which some rows are kept
            kept = {row["id"] for row in expected["body"]["data"]}
            answer["body"]["data"] = [row for row in answer["body"]["data"] if row["id"] in kept]
        expected["share"], answer["share"] = share(expected), share(answer)
        self.answers[name] = plain(expected, self._recorded_ids), plain(answer, self._own_ids)

    async def _abandon(self, session: aiohttp.ClientSession) -> None:
        """The submission of which its client never learned: only its usage rows and a later poll are kept."""
        row = RECORDINGS["80-log-token-abandoned"]["response"]["body"]["data"][1]
        poll = RECORDINGS["81-poll-abandoned-success"]
        self._now = float(poll["response"]["body"]["data"]["data"]["created_at"])
        request = RECORDINGS["04-submit-ok"]["request"]
        body = {**request["body"], "prompt": "abandoned"}
        body["metadata"] = {"resolution": "480p", "duration": 4, "seed": 4242}
        before, charges = await self._posts(session), []
        posted = asyncio.create_task(self._send(session, {**request, "body": body}))
        while await self._posts(session) == before:  # noqa: ASYNC110 asking is the only way
            await asyncio.sleep(0.001)
        posted.cancel()
        self._now = float(row["created_at"])
        while len(charges) < 16:
            async with session.get("/simulator/charges") as response:
                charges = (await response.json())["charges"]
        recorded = (row["request_id"], poll["request"]["path"].rpartition("/")[2])
        for name, theirs in zip(("request_id", "remote_id"), recorded, strict=True):
            self._own_ids[charges[-1][name]] = self._recorded_ids[theirs] = f"<abandoned {name}>"

    async def _posts(self, session: aiohttp.ClientSession) -> int:
        async with session.get("/simulator/requests") as response:
            return int((await response.json())["requests"]["POST /v1/video/generations"])

    async def _send(self, session: aiohttp.ClientSession, request: dict[str, Any]) -> dict[str, Any]:
        own = {token: identity for identity, token in self._own_ids.items()}
        path, body = request["path"], request["body"]
        for identity, token in self._recorded_ids.items():
            path = path.replace(identity, own[token])
        if isinstance(body, dict):
            body = io.BytesIO(bytes(body["bytes"])) if list(body) == ["bytes"] else json.dumps(body)
        options = {"headers": request["headers"], "data": body, "allow_redirects": False}
        async with session.request(request["method"], path, **options) as response:
            raw, cut = await read(response)
            headers = {name: None if name in OF_ITS_OWN else text for name, text in response.headers.items()}
            return {
                "status": response.status,
                "headers": dict(sorted(headers.items())),
                "body": readable(raw, response.content_type),
                "cut": cut,
            }


async def read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """The body as far as it comes, and whether it was cut."""
    raw = b""
    try:
        async for piece in response.content.iter_any():
            raw += piece
    except aiohttp.ClientPayloadError:
        return raw, True
    return raw, False


def readable(raw: bytes, content_type: str) -> Any:
    """A body as the recordings keep it: JSON, text, or the length and hash of a file."""
    if content_type == "video/mp4":
        return {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), "first_32": raw[:32].hex()}
    return json.loads(raw) if raw and content_type == "application/json" else raw.decode()


def share(side: dict[str, Any]) -> float | None:
    """How much came of a file whose length was promised."""
    body, promised = side["body"], side["headers"].get("Content-Length")
    if not isinstance(body, dict) or "sha256" not in body or promised is None:
        return None
    return round(float(body["bytes"]) / int(promised), 3)


def plain(side: dict[str, Any], ids: dict[str, str]) -> Any:
    """An exchange without what must differ: ids as what they stand for, links without host and signature."""
    text = json.dumps(side, ensure_ascii=False)
    for identity, token in ids.items():
        text = text.replace(identity, token)
    for mask, instead in MASKS:
        text = mask.sub(instead, text)
    value = json.loads(text)
    if "<files>" in text:
        value["headers"]["Content-Length"] = "as long as its links"
    return value
