"""The example scenarios: each is valid, makes the night that its first lines promise, and makes it again."""

import json
import re
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from jsonschema import Draft202012Validator

from batchrunner.simulator import Scenario, load_scenario
from batchrunner.simulator.faults import FAULTS

FOLDER = Path(__file__).parents[2] / "data" / "scenarios"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
PROMPTS = [f"a {what} {number}" for number in range(4) for what in ("cat", "storm", "sea")]
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)

EXPECTED = {
    "broken-downloads": (
        "1 models 200, 12 submit 200, 93 poll 200, 12 ended SUCCESS, 6 content lost, 12 link 200, 4 content "
        "200, 2 content 502, 12 again 502, 3 log 200, 1 rows 24, 12 charged"
    ),
    "busy-evening": (
        "1 models 200, 6 submit 200, 6 submit 429, 56 poll 200, 6 ended SUCCESS, 6 content 200, 6 link 200, "
        "6 again 200, 3 log 200, 1 rows 12, 6 charged"
    ),
    "empty-purse": (
        "1 models 200, 4 submit 200, 8 submit 402, 31 poll 200, 4 ended SUCCESS, 4 content 200, 4 link 200, "
        "4 again 200, 3 log 200, 1 rows 0, 4 charged"
    ),
    "lost-answers": (
        "1 models 200, 9 submit 200, 2 submit lost, 1 submit 504, 69 poll 200, 8 ended SUCCESS, 8 content "
        "200, 8 link 200, 8 again 200, 2 log 503, 1 log 200, 1 rows 22, 11 charged"
    ),
    "moderation": (
        "1 models 200, 12 submit 200, 242 poll 200, 5 ended FAILURE, 7 ended SUCCESS, 7 content 200, 7 link "
        "200, 7 again 200, 3 log 200, 1 rows 23, 12 charged"
    ),
    "ordinary-night": (
        "1 models 200, 12 submit 200, 92 poll 200, 12 ended SUCCESS, 12 content 200, 12 link 200, 12 again "
        "200, 3 log 200, 1 rows 24, 12 charged"
    ),
    "other-length": (
        "1 models 200, 12 submit 200, 101 poll 200, 12 ended SUCCESS, 12 content 200, 12 link 200, 12 again "
        "200, 3 log 200, 1 rows 24, 12 charged"
    ),
    "outage": (
        "1 models 502, 5 submit 524, 3 submit 503, 2 submit 500, 2 submit 200, 6 poll 503, 4 poll 500, 10 "
        "poll 200, 2 ended SUCCESS, 2 content 200, 2 link 200, 2 again 200, 3 log 200, 1 rows 4, 2 charged"
    ),
    "revoked-key": (
        "1 models 200, 12 submit 200, 94 poll 200, 12 ended SUCCESS, 12 content 200, 12 link 200, 400 poll "
        "401, 12 again 200, 3 log 200, 1 rows 24, 12 charged"
    ),
    "strict-model": "1 models 200, 12 submit 400, 3 log 200, 1 rows 0",
    "two-accounts": (
        "1 models 200, 12 submit 200, 94 poll 200, 12 ended SUCCESS, 12 content 200, 12 link 200, 12 again "
        "200, 3 log 200, 1 rows 24, 12 charged"
    ),
}


class Client:
    """Submits twelve tasks, polls every 15 s, downloads what succeeded, reads the usage log."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []  # kind of question, status or "lost", body
        self._unfinished: list[str] = []
        self._done: list[str] = []

    async def submit(self, gateway: Any) -> None:
        await self._ask(gateway, "models", "/v1/models")
        for prompt in PROMPTS:
            gateway.clock.later(1)
            metadata = {"resolution": "480p", "duration": 1}
            body = {"model": "dreamina-seedance-2-0-fast", "prompt": prompt, "metadata": metadata}
            answer = await self._ask(gateway, "submit", "/v1/video/generations", method="POST", json=body)
            self._unfinished += [answer["id"]] if "id" in answer else []

    async def poll(self, gateway: Any) -> None:
        for _ in range(40):
            gateway.clock.later(15)
            for remote_id in list(self._unfinished):
                answer = await self._ask(gateway, "poll", f"/v1/video/generations/{remote_id}")
                task = answer.get("data") or {}
                if task.get("status") in ("SUCCESS", "FAILURE"):
                    self._unfinished.remove(remote_id)
                    self.heard.append(("ended", task["status"], b""))
                if task.get("status") == "SUCCESS":
                    self._done.append(remote_id)
                    await self._ask(gateway, "content", f"/v1/videos/{remote_id}/content")
                    await self._ask(gateway, "link", task.get("result_url") or task["fail_reason"], key=None)

    async def fetch_again(self, gateway: Any) -> None:
        for remote_id in self._done:
            await self._ask(gateway, "again", f"/v1/videos/{remote_id}/content")
        for _ in range(3):
            log = await self._ask(gateway, "log", "/api/log/token")
        self.heard.append(("rows", str(len(log.get("data", []))), b""))
        self.heard += [("charged", "", b"")] * len(await gateway.charges())

    async def _ask(self, gateway: Any, kind: str, path: str, method: str = "GET", **options: Any) -> Any:
        try:
            reply = await gateway.call(method, path, **options)
        except LOST:
            self.heard.append((kind, "lost", b""))
            return {}
        self.heard.append((kind, str(reply.status), without_chance(reply.body)))
        try:
            return reply.json
        except ValueError:
            return {}


def without_chance(body: bytes) -> bytes:
    """A body without ports and request ids, which no seed makes."""
    return re.sub(rb"127\.0\.0\.1:\d+|\d{23}8268d9d6\w{8}|Request id: \d+", b"", body)


def play(nights: Any, scenario: Scenario, restarted: bool = False) -> list[tuple[str, str, bytes]]:
    """All that a client hears in a night, with a gateway that is or is not started again in between."""
    client = Client()
    parts = (client.submit, client.poll, client.poll, client.fetch_again)

    async def whole(gateway: Any) -> None:
        for part in parts:
            await part(gateway)

    next(nights).of(scenario, *(parts if restarted else (whole,)))
    return client.heard


@pytest.mark.parametrize("name", NAMES)
def test_an_example_makes_the_night_that_it_describes(nights: Any, name: str) -> None:
    """So many questions with these answers; and the same again, word for word, though it be restarted."""
    scenario = load_scenario(FOLDER / f"{name}.yaml")
    heard = play(nights, scenario)
    counts = Counter(f"{kind} {status}".strip() for kind, status, _ in heard)
    assert ", ".join(f"{count} {what}" for what, count in counts.items()) == EXPECTED.get(name)
    assert play(nights, scenario, restarted=True) == heard


def test_another_seed_is_another_night(nights: Any) -> None:
    """Other ids, other times, other faults by chance."""
    scenario = load_scenario(FOLDER / "broken-downloads.yaml")
    heard, other = play(nights, scenario), play(nights, replace(scenario, seed=99))
    assert not {body for kind, _, body in heard if kind == "submit"} & {body for _, _, body in other}
    assert [status for _, status, _ in heard] != [status for _, status, _ in other]


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_valid_and_says_so_to_an_editor(name: str) -> None:
    """Its first line leads to the schema, which it keeps to."""
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    path = text.partition("\n")[0].removeprefix("# yaml-language-server: $schema=")
    schema = json.loads((FOLDER / path).read_text("utf-8"))
    assert not list(Draft202012Validator(schema).iter_errors(parsed(name)))


def test_the_examples_show_every_key_and_kind_of_fault() -> None:
    """Every key of a scenario, and a fault of every kind of request."""
    values = [parsed(name) for name in NAMES]
    assert {key for value in values for key in value} == {field.name for field in fields(Scenario)}
    assert {rule["on"] for value in values for rule in value.get("faults", ())} == set(FAULTS)


def parsed(name: str) -> Any:
    """An example as an editor reads it: by YAML 1.2, in which `on` is a word."""
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    return yaml.safe_load(re.sub(r"\bon:", '"on":', text))
