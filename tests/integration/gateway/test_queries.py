"""Polls, the first question and downloads: what came, as a value."""

import asyncio
import socket

import pytest

from batchrunner.core.outcome import (
    Fetched,
    FetchFailed,
    InProgress,
    NotVisible,
    Preflight,
    QueryFailed,
    QueryRefused,
    Succeeded,
)

HTML = b"<html><body>Please sign in.</body></html>"
RUNNING = b'{"code":"success","data":{"status":"IN_PROGRESS","data":{"status":"running"}}}'
MEGABYTE = 1 << 20


def replies(status: int, body: bytes, kind: str = "application/json", **headers: str):
    async def answer(request):
        await request.reply(status, body, kind, **headers)

    return answer


def says(data: bytes):
    async def answer(request):
        await request.send(data)
        request.writer.close()

    return answer


async def reset(request):
    request.reset()


async def hang(request):
    await asyncio.Event().wait()


@pytest.fixture
def nowhere():
    """An address where nobody listens."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{nobody.getsockname()[1]}"


# --- polls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (replies(200, RUNNING), InProgress),
        (replies(200, b'{"code":"success","data":{"status":"SUCCESS"}}'), Succeeded),
        (replies(400, b'{"code":"task_not_exist","message":"task_not_exist","data":null}'), NotVisible),
        (replies(401, b'{"error":{"code":"","message":"Invalid token"}}'), QueryRefused),
        (replies(403, HTML, "text/html"), QueryRefused),
        (replies(502, HTML, "text/html"), QueryFailed),
        (replies(200, HTML, "text/html"), QueryFailed),
        (replies(302, b"", Location="/login"), QueryFailed),
        (replies(200, b" " * MEGABYTE + RUNNING), QueryFailed),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), QueryFailed),
        (says(b"garbage\r\n\r\n"), QueryFailed),
        (reset, QueryFailed),
        (hang, QueryFailed),
    ],
)
def test_every_answer_to_a_poll_is_an_outcome(meet, answer, expected):
    """Whatever a poll meets, it is told as a value; no redirect is followed."""

    async def story(gateway, server):
        return await gateway.poll("task_A"), {request.target for request in server.requests}

    # A busy machine may take long to answer: only for the answer that never comes, waiting is a waste.
    outcome, targets = meet(story, answer, query_timeout=0.2 if answer is hang else 60.0)
    assert isinstance(outcome, expected)
    assert targets == {"/v1/video/generations/task_A"}


def test_a_poll_where_nobody_listens_has_failed(meet, nowhere):
    """An unreachable gateway says nothing about the task."""
    assert isinstance(meet(lambda gateway: gateway.poll("task_A"), base_url=nowhere), QueryFailed)


def test_an_odd_id_stays_in_its_part_of_the_path(meet):
    """Whatever an adopted id holds, it is one part of the path and no other address."""

    async def story(gateway, server):
        for remote_id in ("a/../../b", "a?b=c", "a b#d", "猫"):
            await gateway.poll(remote_id)
        return [request.target for request in server.requests]

    assert meet(story, replies(200, RUNNING)) == [
        "/v1/video/generations/a%2F..%2F..%2Fb",
        "/v1/video/generations/a%3Fb%3Dc",
        "/v1/video/generations/a%20b%23d",
        "/v1/video/generations/%E7%8C%AB",
    ]


def test_polls_share_connections(meet):
    """Many polls are cheap: they go on connections that are kept."""

    async def story(gateway, server):
        for _ in range(10):
            await gateway.poll("task_A")
        return len(server.requests), server.connections

    assert meet(story, replies(200, RUNNING)) == (10, 1)


# --- the first question -------------------------------------------------------------------------------

MODELS = b'{"data":[{"id":"fast"},{"id":"slow"}],"object":"list","success":true}'


@pytest.mark.parametrize(
    ("answer", "verdict", "models"),
    [
        (replies(200, MODELS), Preflight.READY, {"fast", "slow"}),
        (replies(404, b'{"error":{"message":"Invalid URL","code":""}}'), Preflight.READY, set()),
        (replies(200, b'{"success":true}'), Preflight.READY, set()),
        (replies(401, b'{"error":{"code":"","message":"Invalid token"}}'), Preflight.WRONG_KEY, set()),
        (replies(200, HTML, "text/html"), Preflight.WRONG_ADDRESS, set()),
        (replies(404, HTML, "text/html"), Preflight.WRONG_ADDRESS, set()),
        (replies(403, HTML, "text/html"), Preflight.WRONG_ADDRESS, set()),
        (replies(302, b"", Location="/login"), Preflight.WRONG_ADDRESS, set()),
        (replies(502, HTML, "text/html"), Preflight.UNREACHABLE, set()),
        (replies(503, b""), Preflight.UNREACHABLE, set()),
        (reset, Preflight.UNREACHABLE, set()),
    ],
)
def test_the_first_question_shows_address_and_key(meet, answer, verdict, models):
    """A list, a JSON 404: ready; 401: wrong key; a web page: wrong address; nothing: not reachable."""

    async def story(gateway, server):
        outcome = await gateway.preflight()
        assert {request.target for request in server.requests} == {"/v1/models"}
        return outcome

    outcome = meet(story, answer)
    assert (outcome.verdict, outcome.models) == (verdict, models)


# --- downloads ----------------------------------------------------------------------------------------

VIDEO = bytes(range(256)) * 12_000  # three megabytes, in more than one piece


@pytest.fixture
def fetch(meet):
    """Downloads by the gateway; returns the outcome and the bytes that were written."""

    def run(answer, **settings):
        written = bytearray()

        async def story(gateway, server):
            outcome = await gateway.fetch_content("task_A", written.extend)
            written.extend(outcome.rest if isinstance(outcome, Fetched) else b"")
            return outcome

        return meet(story, answer, **settings), bytes(written)

    return run


def test_a_whole_body_is_written_as_it_came(fetch):
    """Every byte is written in order, and the size is told."""
    assert fetch(replies(200, VIDEO, "video/mp4")) == (Fetched(len(VIDEO)), VIDEO)


def test_a_chunked_body_is_written_as_it_came(fetch):
    """A body without a length ends where it says so."""
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(VIDEO), VIDEO)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert fetch(says(head + chunks)) == (Fetched(len(VIDEO)), VIDEO)


@pytest.mark.parametrize(
    "answer",
    [
        says(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 9999\r\n\r\nshort"),
        says(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort"),
        replies(200, HTML, "text/html; charset=utf-8"),
        replies(200, b'{"error":{"message":"no","type":"server_error"}}'),
        replies(206, VIDEO[:10], "video/mp4", Content_Range="bytes 0-9/100"),
        replies(302, b"", Location="/elsewhere"),
        replies(400, b'{"error":{"message":"Task is not completed yet","type":"invalid_request_error"}}'),
        replies(401, b""),
        replies(404, b'{"error":{"message":"Task not found"}}'),
        replies(502, b'{"error":{"message":"Failed to fetch video content","type":"server_error"}}'),
        replies(502, HTML, "text/html"),
        replies(500, b" " * (2 * MEGABYTE)),
        reset,
    ],
)
def test_an_incomplete_or_wrong_body_is_a_failed_download(fetch, answer):
    """A short or cut body, a web page, JSON or an error is a failed download, with what the server said."""
    outcome, _ = fetch(answer)
    assert isinstance(outcome, FetchFailed)
    assert outcome.receipt.message or outcome.receipt.code


def test_a_failed_download_says_what_the_server_said(fetch):
    """Status and words of a refusal are kept for the row."""
    outcome, written = fetch(replies(502, b'{"error":{"message":"Upstream service returned status 403"}}'))
    assert isinstance(outcome, FetchFailed)
    assert (outcome.receipt.status, outcome.receipt.message) == (502, "Upstream service returned status 403")
    assert written == b""


def test_a_disk_error_is_not_taken_for_a_network_error(meet):
    """An error of the one who writes passes through: it is no failed download."""

    def refuse(data):
        raise LookupError("disk full")

    async def story(gateway, server):
        await gateway.fetch_content("task_A", refuse)

    with pytest.raises(LookupError):
        meet(story, replies(200, VIDEO, "video/mp4"))


def test_no_compression_is_asked_for(meet):
    """A video comes as it is: its length must be the file's."""

    async def story(gateway, server):
        await gateway.fetch_content("task_A", lambda data: None)
        return server.requests[0].headers["accept-encoding"]

    assert meet(story, replies(200, VIDEO, "video/mp4")) == "identity"


@pytest.mark.parametrize("url", ["", "http://", "no url", "http://[::1", "ftp://127.0.0.1/a", "http://a b/"])
def test_an_invalid_link_is_a_failed_download(meet, url):
    """Whatever stands where a link should be, no exception comes of it and nothing is asked."""

    async def story(gateway, server):
        return await gateway.fetch_url(url, lambda data: None), server.requests

    outcome, requests = meet(story, replies(200, VIDEO))
    assert isinstance(outcome, FetchFailed)
    assert requests == []


def test_a_signed_link_is_asked_for_letter_by_letter(meet):
    """The signature of a link covers its spelling: nothing in it is written anew."""
    path = "/files/a%2Fb%20c.mp4?X-Tos-Signature=%2b%2F&x=a+b&%7Ey=~"

    async def story(gateway, server):
        await gateway.fetch_url(server.url + path, lambda data: None)
        return server.requests[0].target

    assert meet(story, replies(200, VIDEO, "video/mp4")) == path


def test_a_failed_connection_is_reported_in_the_systems_words(client, nowhere):
    """Where it was to lead, and why it did not come: nothing of how a library calls it."""

    async def story():
        async with client(nowhere) as gateway:
            return await gateway.poll("task_A")

    message = asyncio.run(story()).receipt.message
    assert message == f"no connection to {nowhere.removeprefix('http://')}: Connection refused"
