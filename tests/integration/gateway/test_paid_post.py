"""A paid POST: on the wire exactly once, whatever happens, and what is known of it afterwards."""

import asyncio
import gzip
import json
import socket
import tracemalloc
import zlib

import aiohttp
import pytest

from batchrunner.core.outcome import (
    Accepted,
    AccountRefused,
    NotAdmitted,
    Receipt,
    Refusal,
    Rejected,
    Unknown,
)
from batchrunner.simulator import Scenario, Simulator

ACCEPTANCE = b'{"id":"task_A","task_id":"task_A","object":"video","status":"queued"}'
HTML = b"<html><body>502 Bad Gateway</body></html>"


async def accept(request):
    await request.reply(200, ACCEPTANCE, X_Oneapi_Request_Id="req-1")


async def reset(request):
    request.reset()


async def close(request):
    request.writer.close()


def says(data: bytes):
    """Sends these bytes and closes the connection."""

    async def answer(request):
        await request.send(data)
        request.writer.close()

    return answer


def replies(status: int, body: bytes, kind: str = "application/json", **headers: str):
    async def answer(request):
        await request.reply(status, body, kind, **headers)

    return answer


@pytest.fixture
def submit(meet, body):
    """Submits once; returns the outcome and the POSTs that the server saw."""

    def run(*answers, **settings):
        async def story(gateway, *servers):
            return await gateway.submit(body), servers[0].posts

        return meet(story, *answers, **settings)

    return run


def test_the_post_sends_the_given_body_and_key_once(submit, body, key):
    """One POST with the body as it is and the key; the answer's id and request id are kept."""
    outcome, posts = submit(accept)
    assert outcome == Accepted("task_A", Receipt(200, "req-1"))
    (post,) = posts
    assert (post.method, post.target, post.body) == ("POST", "/v1/video/generations", body)
    assert post.headers["authorization"] == f"Bearer {key}"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["content-length"] == str(len(body))
    assert "cookie" not in post.headers


# The answers after which nobody knows whether the gateway has accepted.
LOST = {
    "reset": reset,
    "close": close,
    "reset in the head": says(b"HTTP/1.1 200 OK\r\nContent-"),
    "reset in the body": says(b'HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{"id":"task_A",'),
    "reset in a chunk": says(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"id":"task_A",'),
    "garbage": says(b"\x00\xff\x16garbage\r\n\r\n"),
    "another protocol": says(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    "a head without end": says(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n"),
    "a bad chunk": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"),
    "a bad length": says(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"),
    "two lengths": says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}1"),
    "no gzip": says(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"),
    "a switch": says(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    ),
    "an empty 200": replies(200, b""),
    "a 204": says(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "HTML 200": replies(200, HTML, "text/html"),
    "HTML 502": replies(502, HTML, "text/html"),
    "HTML 504": replies(504, HTML, "text/html"),
    "empty 500": replies(500, b""),
    "broken JSON": replies(200, ACCEPTANCE[:20]),
    "no id": replies(200, b'{"object":"video"}'),
    "a redirect": replies(307, b"", Location="/v1/video/generations"),
    "a moved page": replies(301, b"", Location="/elsewhere"),
    "see other": replies(303, b"", Location="/v1/video/generations"),
    "a conflict": replies(409, b"{}"),
    "client gone": replies(499, b""),
    "too early": replies(425, b""),
}


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
def test_a_lost_answer_is_unknown_after_exactly_one_post(submit, answer):
    """However the answer is lost or garbled after the POST has arrived: unknown, and never sent again."""
    outcome, posts = submit(answer)
    assert isinstance(outcome, Unknown)
    assert len(posts) == 1


CLEAR = {
    "400": (replies(400, b'{"code":"invalid_request","message":"no","data":null}'), Rejected),
    "401": (replies(401, b'{"error":{"code":"","message":"Invalid token"}}'), AccountRefused),
    "401 challenge": (replies(401, b"", WWW_Authenticate='Basic realm="x"'), AccountRefused),
    "403 HTML": (replies(403, HTML, "text/html"), AccountRefused),
    "407": (replies(407, b"", Proxy_Authenticate='Basic realm="x"'), Unknown),
    "429": (replies(429, b""), NotAdmitted),
    "503 with Retry-After": (replies(503, HTML, "text/html", Retry_After="1"), Unknown),
    "500 refunded": (replies(500, b'{"code":"do_request_failed","message":"","data":null}'), NotAdmitted),
}


@pytest.mark.parametrize(("answer", "expected"), CLEAR.values(), ids=CLEAR)
def test_a_clear_answer_is_one_post_as_well(submit, answer, expected):
    """No answer makes the client send again: no status, no challenge, no Retry-After."""
    outcome, posts = submit(answer)
    assert isinstance(outcome, expected)
    assert len(posts) == 1


def test_a_server_that_hangs_is_given_up_once(submit):
    """Silence after the POST ends with `submit_timeout`, as unknown."""

    async def hang(request):
        await asyncio.Event().wait()

    outcome, posts = submit(hang, submit_timeout=0.1)
    assert isinstance(outcome, Unknown)
    assert outcome.receipt.code == "timeout"
    assert len(posts) == 1


def test_a_server_that_dribbles_is_given_up_as_well(submit):
    """An answer that comes byte by byte for ever ends at ten times `submit_timeout`."""

    async def dribble(request):
        await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await request.send(b" ")
            await asyncio.sleep(0.01)

    outcome, posts = submit(dribble, submit_timeout=0.05)
    assert isinstance(outcome, Unknown)
    assert len(posts) == 1


def test_a_connection_cut_before_the_body_was_read_is_unknown(client):
    """Reset while the body is still on its way, nobody knows how much of it was understood."""
    heads = []

    async def half(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.transport.abort()

    async def story():
        async with await asyncio.start_server(half, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with client(f"http://127.0.0.1:{port}") as gateway:
                return await gateway.submit(b"x" * 20_000_000)

    assert isinstance(asyncio.run(story()), Unknown)
    assert len(heads) == 1


def test_each_post_has_a_connection_of_its_own(meet, body):
    """Although the server keeps connections alive, no POST goes on one that was used before."""

    async def story(gateway, server):
        outcomes = [await gateway.submit(body) for _ in range(5)]
        outcomes += await asyncio.gather(*(gateway.submit(body) for _ in range(5)))
        return outcomes, server.posts, server.connections

    outcomes, posts, connections = meet(story, accept)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert sorted(post.connection for post in posts) == list(range(1, 11))
    assert connections == 10


def test_a_redirect_is_not_followed(meet, body):
    """Neither the body nor the key goes where a redirect points."""

    async def story(gateway, server, elsewhere):
        server.answer = replies(307, b"", Location=f"{elsewhere.url}/v1/video/generations")
        return await gateway.submit(body), server.requests, elsewhere.requests

    outcome, here, there = meet(story, accept, accept)
    assert isinstance(outcome, Unknown)
    assert (len(here), there) == (1, [])


def test_a_refused_connection_was_not_admitted(meet, body):
    """Where nobody listens, not one byte has left: the task is simply tried again."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        outcome = meet(lambda gateway: gateway.submit(body), base_url=url)
    assert isinstance(outcome, NotAdmitted)
    assert (outcome.why, outcome.receipt.status) == (Refusal.UNREACHABLE, 0)
    assert outcome.receipt.message


def test_a_name_that_nobody_knows_was_not_admitted(meet, body):
    """A failed look-up of the host's name is before the first byte, too."""
    outcome = meet(lambda gateway: gateway.submit(body), base_url="https://gateway.invalid")
    assert isinstance(outcome, NotAdmitted)
    assert outcome.why is Refusal.UNREACHABLE


def test_a_failed_handshake_was_not_admitted(client, body):
    """TLS that does not come about is before the first byte of the request."""
    seen = []

    async def plain(reader, writer):
        seen.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def story():
        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with client(f"https://127.0.0.1:{port}") as gateway:
                return await gateway.submit(body)

    outcome = asyncio.run(story())
    assert isinstance(outcome, NotAdmitted)
    assert outcome.why is Refusal.UNREACHABLE
    assert body not in b"".join(seen)


def test_retry_after_reaches_the_outcome(submit):
    """What the gateway asks for in seconds is told with the refusal."""
    outcome, _ = submit(replies(429, b"", Retry_After="17"))
    assert outcome == NotAdmitted(Refusal.THROTTLED, outcome.receipt, 17.0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": "Sun, 06 Nov 1994 08:50:07 +99999999999999999999"},
        {"Retry_After": "\udcff\udcfe"},
        {"X_Oneapi_Request_Id": "\udcff\udcfe"},
        {"Content_Type": "nonsense; charset=none"},
        {"Set_Cookie": "\udcff=\udcfe; Max-Age=x"},
    ],
)
def test_an_odd_header_does_not_lose_an_acceptance(submit, headers):
    """Whatever stands in the other headers, an accepted submission is accepted."""
    outcome, _ = submit(replies(200, ACCEPTANCE, **headers))
    assert isinstance(outcome, Accepted)


def test_a_refused_body_with_half_a_character_is_an_outcome(submit):
    """An answer that UTF-8 can't hold has an outcome like any other; the client does not raise."""
    outcome, _ = submit(replies(400, b'{"code":"invalid_request","message":"{\\ud800","data":null}'))
    assert isinstance(outcome, Rejected)


# --- long answers -------------------------------------------------------------------------------------

MEGABYTE = 1 << 20


def test_an_endless_answer_is_not_read_to_its_end(submit):
    """After a megabyte the client hangs up: unknown, and neither end sends gigabytes."""
    sent = []

    async def endless(request):
        await request.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while len(sent) < 200:
            sent.append(1)
            await request.send(b" " * MEGABYTE)

    outcome, posts = submit(endless)
    assert isinstance(outcome, Unknown)
    assert len(posts) == 1
    assert len(sent) < 30  # megabytes: what fits into buffers on the way


def test_an_answer_of_a_megabyte_is_still_read(submit):
    """Long answers that are JSON are understood up to the limit, and in doubt beyond it."""
    padding = b" " * (MEGABYTE - len(ACCEPTANCE))
    assert isinstance(submit(replies(200, padding + ACCEPTANCE))[0], Accepted)
    assert isinstance(submit(replies(200, padding + b" " + ACCEPTANCE))[0], Unknown)


def test_a_compressed_bomb_does_not_fill_the_memory(submit):
    """An answer that unpacks to a hundred times its size is given up before it has."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(MEGABYTE)
    bomb = b"".join(packer.compress(zeros) for _ in range(160)) + packer.flush()
    tracemalloc.start()
    try:
        outcome, _ = submit(replies(200, bomb, Content_Encoding="gzip"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(outcome, Unknown)
    assert peak < 100 * MEGABYTE


def test_a_compressed_answer_is_understood(submit):
    """A gateway behind something that compresses is understood as well."""
    outcome, _ = submit(replies(200, gzip.compress(ACCEPTANCE), Content_Encoding="gzip"))
    assert isinstance(outcome, Accepted)


# --- against the simulator: money -----------------------------------------------------------------------

FAULTS = {
    "cut_after_accept": (1, Unknown),
    "html_502_after_accept": (1, Unknown),
    "broken_json_after_accept": (1, Unknown),
    "no_id_after_accept": (1, Unknown),
    "task_id_only": (1, Accepted),
    "hang_after_accept": (1, Unknown),
    "cut_before_accept": (0, Unknown),
    "cut_hold_kept": (0, Unknown),
    "html_502": (0, Unknown),
    "500_html": (0, Unknown),
    "500_refunded": (0, NotAdmitted),
    "429": (0, NotAdmitted),
    "429_retry_after": (0, NotAdmitted),
    "429_empty": (0, NotAdmitted),
    "400": (0, Rejected),
    "401": (0, AccountRefused),
    "402": (0, AccountRefused),
    "403_quota": (0, AccountRefused),
    "403_token_quota": (0, AccountRefused),
    "403_model": (0, AccountRefused),
    "403_html": (0, AccountRefused),
    "503_model": (0, NotAdmitted),
    "redirect": (0, Unknown),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_one_post_and_at_most_one_charge(tmp_path, client, fault):
    """The charge book and the request count know of one POST, and a charge is never called refused."""
    charged, expected = FAULTS[fault]
    scenario = Scenario.from_dict({"faults": [{"on": "submit", "do": fault}]})
    request = {"model": "dreamina-seedance-2-0-fast", "prompt": "a cat", "metadata": {"duration": 1}}
    patience = 0.3 if fault == "hang_after_accept" else 60.0  # a busy machine may take long to answer

    async def story():
        async with Simulator(tmp_path, scenario, 0.001) as sim:
            async with client(sim.url, submit_timeout=patience) as gateway:
                outcome = await gateway.submit(json.dumps(request).encode())
            async with aiohttp.ClientSession(sim.url) as book:
                charges = await (await book.get("/simulator/charges")).json()
                requests = await (await book.get("/simulator/requests")).json()
            return outcome, charges["charges"], requests["requests"]

    outcome, charges, requests = asyncio.run(story())
    assert isinstance(outcome, expected)
    assert len(charges) == charged
    assert requests["POST /v1/video/generations"] == 1
    assert "POST file server" not in requests
