"""Every fault of polls, of the list of models and of the look-ups once: what the client meets."""

import time
from typing import Any

import aiohttp
import pytest

from batchrunner.simulator.faults import FAULTS

LOG = "/api/log/token"
LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


POLLS: list[tuple[str, int, bytes]] = [
    ("500", 500, b'{"code":"get_task_failed"'),
    ("html_502", 502, b"<html>"),
    ("401", 401, b'{"error":{"code":"","message":"Invalid token (request id: '),
    ("403_model", 403, b'{"error":{"code":"","message":"This token has no access to model  (request id: '),
    ("task_not_exist", 400, b'{"code":"task_not_exist","message":"task_not_exist","data":null}'),
    ("429", 429, b""),
    ("null_data", 200, b'{"code":"success","data":null}'),
    ("unknown_state", 200, b'{"code":"success","message":"","data":{"id":1'),
]


@pytest.mark.parametrize(("fault", "status", "beginning"), POLLS)
def test_a_poll_fault_affects_one_poll(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """The first poll meets the fault, the second sees the task, which knows nothing of it."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        reply = await gateway.call("GET", f"/v1/video/generations/{remote_id}")
        return reply, await gateway.ended(remote_id)

    reply, task = night(story, faults=[{"on": "poll", "do": fault, "times": 1}])
    assert (reply.status, reply.body[: len(beginning)]) == (status, beginning)
    assert task["status"] == "SUCCESS"


def test_a_cut_poll_works_the_next_time(night: Any) -> None:
    """The connection of a poll is reset, and the next poll works."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        with pytest.raises(LOST):
            await gateway.poll(remote_id)
        return await gateway.poll(remote_id)

    # Two, as aiohttp's client sends a GET that met a reset once more by itself.
    assert night(story, faults=[{"on": "poll", "do": "cut", "nth": [1, 2]}])["id"] == 1


def test_a_hanging_poll_is_reset_in_the_end(night: Any) -> None:
    """Nothing comes for so long, then the connection is reset."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        begun = time.monotonic()
        with pytest.raises(LOST):
            await gateway.poll(remote_id)
        return time.monotonic() - begun, await gateway.poll(remote_id)

    fault = {"on": "poll", "do": "hang", "nth": [1, 2], "seconds": 100}
    took, task = night(story, faults=[fault])
    assert took >= 0.1
    assert task["id"] == 1


def test_a_poll_may_be_answered_by_something_in_front(night: Any) -> None:
    """Another status than 502, with a page or with nothing."""

    async def story(gateway: Any) -> Any:
        path = f"/v1/video/generations/{await gateway.accepted()}"
        return [await gateway.call("GET", path) for _ in range(2)]

    rules = [
        {"on": "poll", "do": "html_502", "nth": 1, "status": 503},
        {"on": "poll", "do": "html_502", "status": 429, "body": "empty"},
    ]
    page, nothing = night(story, faults=rules)
    assert (page.status, page.body[:6]) == (503, b"<html>")
    assert (nothing.status, nothing.body) == (429, b"")


MODEL_LIST: list[tuple[str, int, bytes]] = [
    ("401", 401, b'{"error":{"code":"","message":"Invalid token (request id: '),
    ("404", 404, b'{"error":{"message":"Invalid URL (GET /v1/models)"'),
    ("html_200", 200, b"<!doctype html>"),
    ("html_502", 502, b"<html>"),
    ("missing", 200, b'{"data":[],"object":"list","success":true}'),
]


@pytest.mark.parametrize(("fault", "status", "beginning"), MODEL_LIST)
def test_the_list_of_models_can_fail(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """What a wrong address, a wrong key or another gateway answers to the free question before a run."""

    async def story(gateway: Any) -> Any:
        return await gateway.call("GET", "/v1/models"), await gateway.call("GET", "/v1/models")

    reply, second = night(story, faults=[{"on": "models", "do": fault, "times": 1}])
    assert (reply.status, reply.body[: len(beginning)]) == (status, beginning)
    assert len(second.json["data"]) == 2


LOOK_UPS: list[tuple[str, int, bytes]] = [
    ("429", 429, b""),
    ("500", 500, b'{"message":"database is locked","success":false}'),
    ("html_502", 502, b"<html>"),
    ("refused", 200, b'{"message":"database is locked","success":false}'),
]
LOOK_UP_PATHS = ("/api/log/token", "/api/usage/token/")
BILLING_PATHS = ("/v1/dashboard/billing/subscription", "/v1/dashboard/billing/usage")
BILLING = [
    (fault, status, b'{"error":{"message"' if start[:1] == b"{" else start)
    for fault, status, start in LOOK_UPS
]


@pytest.mark.parametrize(("fault", "status", "beginning"), LOOK_UPS)
def test_a_look_up_can_fail_once(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """The usage log and the key's quota fail alike; the next look-up works."""

    async def story(gateway: Any) -> Any:
        return [await gateway.call("GET", path) for path in LOOK_UP_PATHS], await gateway.call("GET", LOG)

    replies, last = night(story, faults=[{"on": "usage", "do": fault, "first": len(LOOK_UP_PATHS)}])
    assert [(reply.status, reply.body[: len(beginning)]) for reply in replies] == [(status, beginning)] * 2
    assert last.json == {"data": [], "message": "", "success": True}
    assert replies[0].headers.get("Retry-After") == ("10" if fault == "429" else None)


@pytest.mark.parametrize(("fault", "status", "beginning"), BILLING)
def test_the_balance_can_be_withheld(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """The two billing routes have faults of their own; a broken database comes with status 200, too."""

    async def story(gateway: Any) -> Any:
        twice = [*BILLING_PATHS, *BILLING_PATHS]
        return [await gateway.call("GET", path) for path in twice]

    replies = night(story, faults=[{"on": "billing", "do": fault, "first": 2}])
    assert [(reply.status, reply.body[: len(beginning)]) for reply in replies[:2]] == [
        (status, beginning)
    ] * 2
    assert replies[2].json["hard_limit_usd"] == 100_000_000
    assert replies[3].json == {"object": "list", "total_usage": 0}


@pytest.mark.parametrize(
    ("on", "path"), [("models", "/v1/models"), ("usage", LOG), ("billing", BILLING_PATHS[0])]
)
def test_a_query_can_lose_its_answer(night: Any, on: str, path: str) -> None:
    """The connection is reset."""

    async def story(gateway: Any) -> Any:
        with pytest.raises(LOST):
            await gateway.call("GET", path)

    night(story, faults=[{"on": on, "do": "cut"}])


def test_every_fault_of_a_query_has_a_test_here() -> None:
    """A fault that the simulator learns must be given its place in this file."""
    assert {fault for fault, *_ in POLLS} | {"cut", "hang"} == set(FAULTS["poll"])
    assert {fault for fault, *_ in MODEL_LIST} | {"cut"} == set(FAULTS["models"])
    assert {fault for fault, *_ in LOOK_UPS} | {"cut"} == set(FAULTS["usage"]) == set(FAULTS["billing"])
