"""Every fault of a submission once: what the client meets, and what the charge book says."""

import asyncio
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from batchrunner.simulator.faults import FAULTS, REFUNDED

LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


BEFORE: list[tuple[str, int, str | None]] = [
    ("html_502", 502, None),
    ("429", 429, "fail_to_fetch_task"),
    ("400", 400, ""),
    ("401", 401, ""),
    ("402", 402, "insufficient_user_quota"),
    ("403_quota", 403, "insufficient_user_quota"),
    ("403_token_quota", 403, "pre_consume_token_quota_failed"),
    ("403_model", 403, ""),
    ("403_html", 403, None),
    ("503_model", 503, "model_not_found"),
    ("500_refunded", 500, "do_request_failed"),
    ("500_html", 500, None),
]


@pytest.mark.parametrize(("fault", "status", "code"), BEFORE)
def test_a_fault_before_the_charge_costs_nothing(
    night: Any, fault: str, status: int, code: str | None
) -> None:
    """A refusing fault befalls the first submission alone, and the book holds the second only."""

    async def story(gateway: Any) -> Any:
        return (
            await gateway.submit(),
            await gateway.submit(),
            await gateway.charges(),
            await gateway.requests(),
        )

    reply, second, charges, requests = night(story, faults=[{"on": "submit", "do": fault, "first": 1}])
    assert reply.status == status
    if code is None:
        assert reply.body.startswith(b"<html>")
        assert "X-Oneapi-Request-Id" not in reply.headers
    else:
        assert reply.json.get("error", reply.json)["code"] == code
    assert second.status == 200
    assert [charge["ordinal"] for charge in charges] == [1]
    assert requests["refused_submits"] == 1
    assert requests["requests"]["POST /v1/video/generations"] == 2


def test_a_429_has_several_shapes(night: Any) -> None:
    """Retry-After bears the seconds of the rule; the empty 429 has neither body nor header."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(), await gateway.submit(), await gateway.charges()

    rules = [
        {"on": "submit", "do": "429_retry_after", "seconds": 7, "nth": 1},
        {"on": "submit", "do": "429_empty", "nth": [2]},
    ]
    later, empty, charges = night(story, faults=rules)
    assert (later.status, later.headers["Retry-After"]) == (429, "7")
    assert (empty.status, empty.body, empty.headers.get("Retry-After")) == (429, b"", None)
    assert charges == []


def test_a_redirect_leads_to_the_file_server_which_refuses_the_key(night: Any) -> None:
    """Who follows the 307 with the key is refused there, and it is counted."""

    async def story(gateway: Any) -> Any:
        reply = await gateway.submit()
        followed = await gateway.call("POST", reply.headers["Location"], json={})
        return reply, followed, await gateway.charges(), await gateway.requests()

    reply, followed, charges, requests = night(story, faults=[{"on": "submit", "do": "redirect"}])
    assert (reply.status, followed.status, charges) == (307, 403, [])
    assert requests["requests"]["POST file server with Authorization"] == 1


@pytest.mark.parametrize(
    ("fault", "charged"), [("cut_before_accept", 0), ("cut_after_accept", 1), ("hang_after_accept", 1)]
)
def test_a_lost_answer_is_charged_only_where_its_name_says_so(night: Any, fault: str, charged: int) -> None:
    """A connection that is reset or never answers leaves a charge exactly where its name says so."""

    async def story(gateway: Any) -> Any:
        with pytest.raises((*LOST, TimeoutError)):
            async with asyncio.timeout(0.2):
                await gateway.submit()
        charges = await gateway.charges()
        return charges, [(await gateway.ended(charge["remote_id"]))["status"] for charge in charges]

    charges, statuses = night(story, faults=[{"on": "submit", "do": fault}])
    assert [charge["faults"] for charge in charges] == [[f"submit:{fault}"]] * charged
    assert statuses == ["SUCCESS"] * charged


@pytest.mark.parametrize(
    ("fault", "status", "beginning"),
    [
        ("html_502_after_accept", 502, b"<html>"),
        ("broken_json_after_accept", 200, b'{"id":"task_'),
        ("no_id_after_accept", 200, b'{"object":"video"'),
        ("task_id_only", 200, b'{"task_id":"task_'),
    ],
)
def test_a_garbled_answer_is_charged_all_the_same(
    night: Any, fault: str, status: int, beginning: bytes
) -> None:
    """The answer is of little use or none, and the book holds the charge."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(), await gateway.charges()

    reply, charges = night(story, faults=[{"on": "submit", "do": fault}])
    assert reply.status == status
    assert reply.body.startswith(beginning)
    assert (charges[0]["remote_id"].encode() in reply.body) is (fault == "task_id_only")
    assert charges[0]["faults"] == [f"submit:{fault}"]


def test_a_slow_submission_is_charged_after_its_client_has_gone(night: Any) -> None:
    """As recorded: the charge comes when upstream has answered, whoever still waits."""

    async def story(gateway: Any) -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await gateway.submit()
        early = await gateway.charges()
        while not (charges := await gateway.charges()):  # noqa: ASYNC110 asking is the only way
            await asyncio.sleep(0.01)
        return early, charges

    early, charges = night(story, faults=[{"on": "submit", "do": "slow_accept", "seconds": 150}])
    assert (early, len(charges)) == ([], 1)


@pytest.mark.parametrize("body", ["html", "empty"])
@pytest.mark.parametrize("status", [413, 503, 504, 524])
def test_whatever_stands_in_front_of_the_gateway_answers(night: Any, status: int, body: str) -> None:
    """A page or nothing, with the status of the rule and without the gateway's headers, charged or not."""

    async def story(gateway: Any) -> Any:
        return [await gateway.submit(), await gateway.submit()], await gateway.charges()

    edge = {"on": "submit", "status": status, "body": body}
    rules = [{**edge, "do": "html_502", "nth": 1}, {**edge, "do": "html_502_after_accept"}]
    replies, charges = night(story, faults=rules)
    for reply in replies:
        assert (reply.status, reply.body.startswith(b"<html>")) == (status, body == "html")
        assert "X-Oneapi-Request-Id" not in reply.headers
    assert [charge["faults"] for charge in charges] == [["submit:html_502_after_accept"]]


@pytest.mark.parametrize("shape", ["openai", "task"])
@pytest.mark.parametrize(("fault", "status"), [("402", 402), ("403_quota", 403), ("403_token_quota", 403)])
def test_too_little_money_is_refused_in_both_shapes(night: Any, fault: str, status: int, shape: str) -> None:
    """The refusal comes in the shape that the rule wants."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit()

    reply = night(story, faults=[{"on": "submit", "do": fault, "shape": shape}])
    error = reply.json["error"] if shape == "openai" else reply.json
    code = "pre_consume_token_quota_failed" if fault == "403_token_quota" else "insufficient_user_quota"
    assert (reply.status, error["code"]) == (status, code)


@pytest.mark.parametrize("code", REFUNDED)
def test_every_failure_of_the_gateways_own_is_refunded(night: Any, code: str) -> None:
    """500 in the task shape with the code of the rule, and no charge."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(), await gateway.charges()

    reply, charges = night(story, faults=[{"on": "submit", "do": "500_refunded", "code": code}])
    assert (reply.status, reply.json["code"], reply.json["data"], charges) == (500, code, None, [])


def test_retry_after_may_be_a_date(night: Any) -> None:
    """The date lies as many seconds ahead as the rule says."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(), gateway.clock()

    rule = {"on": "submit", "do": "429_retry_after", "seconds": 90, "date": True}
    reply, now = night(story, faults=[rule])
    assert parsedate_to_datetime(reply.headers["Retry-After"]).timestamp() == int(now + 90)


def test_every_fault_of_a_submission_has_a_test_here() -> None:
    """A fault that the simulator learns must be given its place in this file."""
    refused = {fault for fault, *_ in BEFORE} | {"429_retry_after", "429_empty", "redirect"}
    lost = {"cut_before_accept", "cut_hold_kept", "cut_after_accept", "hang_after_accept", "slow_accept"}
    garbled = {"html_502_after_accept", "broken_json_after_accept", "no_id_after_accept", "task_id_only"}
    assert refused | lost | garbled == set(FAULTS["submit"])
