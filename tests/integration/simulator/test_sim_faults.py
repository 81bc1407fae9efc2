"""Every fault once: what the client meets, and what the charge book says."""

import asyncio
import io
from typing import Any

import aiohttp
import av
import pytest

LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)


def seconds_of(body: bytes) -> float:
    with av.open(io.BytesIO(body)) as container:
        return sum(1 for _ in container.decode(video=0)) / 24


BEFORE: list[tuple[str, int, str | None]] = [
    ("html_502", 502, None),
    ("429", 429, "fail_to_fetch_task"),
    ("401", 401, ""),
    ("402", 402, "insufficient_user_quota"),
    ("403_quota", 403, "insufficient_user_quota"),
    ("403_token_quota", 403, "pre_consume_token_quota_failed"),
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


def test_429_in_its_other_shapes(night: Any) -> None:
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
def test_a_lost_answer(night: Any, fault: str, charged: int) -> None:
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


POLLS: list[tuple[str, int, bytes]] = [
    ("500", 500, b'{"code":"get_task_failed"'),
    ("html_502", 502, b"<html>"),
    ("401", 401, b'{"error":{"code":"","message":"Invalid token (request id: '),
    ("403_model", 403, b'{"error":{"code":"","message":"This token has no access to model  (request id: '),
    ("task_not_exist", 400, b'{"code":"task_not_exist","message":"task_not_exist","data":null}'),
    ("null_data", 200, b'{"code":"success","data":null}'),
    ("unknown_state", 200, b'{"code":"success","message":"","data":{"id":1'),
]


@pytest.mark.parametrize(("fault", "status", "beginning"), POLLS)
def test_a_poll_fault_befalls_one_poll(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """The first poll meets the fault, the second sees the task, which knows nothing of it."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        reply = await gateway.call("GET", f"/v1/video/generations/{remote_id}")
        return reply, await gateway.ended(remote_id)

    reply, task = night(story, faults=[{"on": "poll", "do": fault, "times": 1}])
    assert (reply.status, reply.body[: len(beginning)]) == (status, beginning)
    assert task["status"] == "SUCCESS"


def test_a_cut_poll(night: Any) -> None:
    """The connection of a poll is reset, and the next poll works."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        with pytest.raises(LOST):
            await gateway.poll(remote_id)
        return await gateway.poll(remote_id)

    # Two, as aiohttp's client sends a GET that met a reset once more by itself.
    assert night(story, faults=[{"on": "poll", "do": "cut", "nth": [1, 2]}])["id"] == 1


DOWNLOADS: list[tuple[str, int, bytes]] = [
    ("html_200", 200, b"<!doctype html>"),
    ("json_200", 200, b'{"error":{"message":'),
    ("502", 502, b'{"error":{"message":"Failed to fetch video content","type":"server_error"}}'),
    ("404", 404, b'{"error":{"message":"Task not found","type":"invalid_request_error"}}'),
    ("not_ready", 400, b'{"error":{"message":"Task is not completed yet, current status: IN_PROGRESS"'),
]


@pytest.mark.parametrize(("fault", "status", "beginning"), DOWNLOADS)
def test_a_download_that_is_no_video(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """The first download meets the fault, the second gets the file."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return await gateway.content(remote_id), await gateway.content(remote_id)

    reply, whole = night(story, faults=[{"on": "download", "do": fault, "first": 1}])
    assert (reply.status, reply.body[: len(beginning)]) == (status, beginning)
    assert (whole.status, whole.body[4:8]) == (200, b"ftyp")


def test_garbage_has_the_right_length(night: Any) -> None:
    """Random bytes, as many as the video has, the same whenever asked."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return [await gateway.content(remote_id) for _ in range(3)]

    one, two, whole = night(story, faults=[{"on": "download", "do": "garbage", "first": 2}])
    assert one.body == two.body != whole.body
    assert len(one.body) == len(whole.body)


def test_another_video_has_another_length(night: Any) -> None:
    """`other_video` is playable, and longer than asked."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return await gateway.content(remote_id), await gateway.content(remote_id)

    other, whole = night(story, faults=[{"on": "download", "do": "other_video", "nth": 1}])
    assert round(seconds_of(other.body) - seconds_of(whole.body), 3) == 2


@pytest.mark.parametrize(("prompt", "faults"), [("ark:short", []), ("x", [{"on": "download", "do": "cut"}])])
def test_a_cut_download(night: Any, prompt: str, faults: list[Any]) -> None:
    """Half of what Content-Length promises, then the end."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(prompt)
        await gateway.ended(remote_id)
        with pytest.raises(aiohttp.ClientPayloadError):
            await gateway.content(remote_id)

    night(story, faults=faults)


def test_a_chunked_download_ends_cleanly_whole_or_cut(night: Any) -> None:
    """ark:chunked has no length and is whole; cut_chunked is half of it, and looks as good."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted("ark:chunked")
        await gateway.ended(remote_id)
        return await gateway.content(remote_id), await gateway.content(remote_id)

    cut, whole = night(story, faults=[{"on": "download", "do": "cut_chunked", "first": 1}])
    for reply in (cut, whole):
        assert (reply.status, reply.headers["Transfer-Encoding"]) == (200, "chunked")
        assert "Content-Length" not in reply.headers
    assert cut.body == whole.body[: len(whole.body) // 2]
    assert seconds_of(whole.body) == 25 / 24


def test_a_slow_download_takes_its_time(night: Any) -> None:
    """The body comes in pieces over so many nominal seconds, and is whole."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        begun = asyncio.get_running_loop().time()
        reply = await gateway.content(remote_id)
        return reply, asyncio.get_running_loop().time() - begun

    reply, took = night(story, faults=[{"on": "download", "do": "slow", "seconds": 100}])
    assert seconds_of(reply.body) == 25 / 24
    assert took >= 0.1


def test_a_download_fault_on_the_link_alone(night: Any) -> None:
    """`source: url` spares /content, and the other way round by default."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        task = await gateway.ended(remote_id)
        link = await gateway.call("GET", task["result_url"], None)
        return link, await gateway.content(remote_id)

    link, content = night(story, faults=[{"on": "download", "do": "502", "source": "url"}])
    assert (link.status, content.status) == (502, 200)


def test_rules_choose_their_requests(night: Any) -> None:
    """prompt, every, times and nth count the matching requests only, in their order."""

    async def story(gateway: Any) -> Any:
        prompts = ["cat 1", "dog 1", "cat 2", "cat 3", "cat 4", "dog 2", "cat 5", "cat 6"]
        return [(await gateway.submit(prompt)).status for prompt in prompts]

    rules = [
        {"on": "submit", "do": 429, "prompt": "cat*", "every": 2, "times": 2},
        {"on": "submit", "do": "500_html", "prompt": "dog*", "nth": [2]},
    ]
    assert night(story, faults=rules) == [200, 200, 429, 200, 429, 500, 200, 200]


def test_between_is_about_the_time_since_the_start(night: Any) -> None:
    """A rule for later does nothing now; one for now does."""

    async def story(gateway: Any) -> Any:
        return [(await gateway.submit(prompt)).status for prompt in ("a", "b")]

    later = {"on": "submit", "do": 429, "prompt": "a", "between": [1e6, 2e6]}
    now = {"on": "submit", "do": 429, "prompt": "b", "between": [0, 1e6]}
    assert night(story, faults=[later, now]) == [200, 429]


def test_chance_is_seeded(night: Any) -> None:
    """The same rule and seed befall the same ordinals, and about as many as its chance says."""

    async def story(gateway: Any) -> Any:
        return [(await gateway.submit()).status for _ in range(40)]

    rule = {"on": "submit", "do": 429, "chance": 0.5}
    statuses = night(story, faults=[rule])
    assert 10 <= statuses.count(429) <= 30
    # Another state of the same night: the counts go on, so the draws are the next ones.
    assert night(story, faults=[rule]) != statuses
