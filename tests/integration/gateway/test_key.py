"""The API key: in one header, to one origin, and nowhere else."""

import asyncio
import copy
import pickle
import traceback

import pytest

from batchrunner.core.errors import UsageError
from batchrunner.core.outcome import FetchFailed, NotAdmitted
from batchrunner.gateway import ApiKey, check_address, is_loopback, origin
from batchrunner.gateway.download import no_answer

ACCEPTANCE = b'{"id":"task_A"}'
VIDEO = b"\x00" * 1000


def replies(status: int, body: bytes, kind: str = "application/json", **headers: str):
    async def answer(request):
        await request.reply(status, body, kind, **headers)

    return answer


async def everything(gateway, remote_id="task_A"):
    """Every call that goes to the gateway itself."""
    return [
        await gateway.submit(b"{}"),
        await gateway.poll(remote_id),
        await gateway.preflight(),
        await gateway.fetch_content(remote_id, lambda data: None),
    ]


def test_the_key_stands_in_the_authorization_header_alone(meet, key):
    """Each call to the gateway bears the key there, and not in its path, its body or another header."""

    async def story(gateway, server):
        await everything(gateway)
        return server.requests

    requests = meet(story, replies(200, ACCEPTANCE))
    assert len(requests) == 4
    for request in requests:
        assert request.headers.pop("authorization") == f"Bearer {key}"
        assert key not in f"{request.target} {request.headers} {request.body!r}"


def test_the_key_does_not_go_to_a_links_host(meet, key):
    """A result's link is asked for without any key, also where it is on the gateway's own host."""

    async def story(gateway, server, files):
        await gateway.fetch_url(f"{files.url}/a.mp4", lambda data: None)
        await gateway.fetch_url(f"{server.url}/a.mp4", lambda data: None)
        return [*server.requests, *files.requests]

    requests = meet(story, replies(200, VIDEO, "video/mp4"), replies(200, VIDEO, "video/mp4"))
    assert len(requests) == 2
    assert all("authorization" not in request.headers for request in requests)
    assert key not in str(requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_key_does_not_follow_a_redirect(meet, status):
    """Wherever a redirect points, the key and the download stay here."""

    async def story(gateway, server, elsewhere):
        server.answer = replies(status, b"", Location=f"{elsewhere.url}/v1/models")
        await everything(gateway)
        await gateway.fetch_url(f"{server.url}/a.mp4", lambda data: None)
        return elsewhere.requests

    assert meet(story, replies(200, b""), replies(200, ACCEPTANCE)) == []


def test_a_key_that_is_echoed_is_masked(meet, key):
    """Whatever answer repeats the key, no outcome of it does: not its words, not its raw text, not its id."""
    echo = f'{{"code":"{key}","message":"bad key {key}","data":{{"status":"{key}","fail_reason":"{key}"}}}}'
    for status in (200, 400, 401, 500):

        async def story(gateway, server):
            return await everything(gateway)

        outcomes = meet(story, replies(status, echo.encode(), X_Oneapi_Request_Id=f"id {key}"))
        assert key not in repr(outcomes), status
    outcomes = meet(story, replies(502, f"<html>{key}</html>".encode(), "text/html"))
    assert key not in repr(outcomes)


def test_a_key_that_is_echoed_in_an_escaped_form_is_masked(meet, key):
    """JSON can write any letter as a number: what is read out of it does not show the key either."""
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in key)
    task = f'{{"status":"FAILURE","fail_reason":"{escaped}"}}'
    echo = f'{{"code":"{escaped}","message":"bad {escaped}","data":{task}}}'

    async def story(gateway, server):
        return await everything(gateway)

    for status in (200, 400, 401, 500):
        assert key not in repr(meet(story, replies(status, echo.encode()))), status


def test_no_half_of_a_key_is_left_where_words_are_cut(meet, key):
    """What is kept of an answer is bounded; the key is masked before anything is cut off."""
    half = key[: len(key) // 2]

    async def story(gateway, server):
        return await everything(gateway)

    for before in (120, 200, 2000):
        words = ("x" * (before - len(half)) + key).encode()
        for body in (words, b'{"code":"' + words + b'","message":"' + words + b'"}'):
            assert half not in repr(meet(story, replies(400, body))), before


def test_a_key_in_an_errors_words_is_masked(meet, key):
    """The words of a failed connection or a broken protocol do not show the key either."""

    async def says_key(request):
        await request.send(f"HTTP/1.1 200 OK\r\nContent-Length: {key}\r\n\r\n".encode())
        request.writer.close()

    async def story(gateway, server):
        return await everything(gateway)

    assert key not in repr(meet(story, says_key))


def test_a_key_of_any_form_in_an_errors_words_is_masked():
    """Nothing about a key's form is known for sure: the key itself is looked for."""
    key = ApiKey("plain0word1of2another3form", "EASYROUTER_API_KEY")
    receipt = no_answer(ValueError("can't send plain0word1of2another3form to the gateway"), key)
    assert "plain0word1of2another3form" not in repr(receipt)
    assert "can't send" in receipt.message


def test_a_key_that_no_header_can_hold_is_not_shown(client):
    """A key with a line break in it can't be sent, and the refusal does not repeat it."""
    secret = "sk-first\r\nX-Second: line"

    async def story():
        async with client("http://127.0.0.1:9", secret) as gateway:
            return await gateway.submit(b"{}")

    outcome = asyncio.run(story())
    assert isinstance(outcome, NotAdmitted)
    assert "sk-first" not in repr(outcome)


def test_nothing_that_prints_or_copies_shows_the_key(key):
    """No `repr`, format, pickle, copy or traceback holds the key; where it came from is told."""
    api_key = ApiKey(key, "EASYROUTER_API_KEY")
    for text in (repr(api_key), str(api_key), f"{api_key}", f"{[api_key]}"):
        assert key not in text
        assert "EASYROUTER_API_KEY" in text
    for copying in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError) as refused:
            copying(api_key)
        assert key not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(TypeError):
        vars(api_key)


def test_masking_leaves_other_text_alone(key):
    """Text without the key is what it was, and every place where it stands is masked."""
    api_key = ApiKey(key, "a test")
    assert api_key.mask("nothing to hide") == "nothing to hide"
    masked = api_key.mask(f"{key} and {key}")
    assert key not in masked
    assert masked.count("sk-***") == 2


def test_netrc_is_never_read(meet, key, tmp_path, monkeypatch):
    """A login for the host in `.netrc` replaces no key and is added to no link."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login somebody password secret\nmachine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(netrc))

    async def story(gateway, server):
        await everything(gateway)
        await gateway.fetch_url(f"{server.url}/a.mp4", lambda data: None)
        return [request.headers.get("authorization") for request in server.requests]

    assert meet(story, replies(200, ACCEPTANCE)) == [f"Bearer {key}"] * 4 + [None]


def test_cookies_are_not_sent_back(meet):
    """What a server sets is forgotten: calls have nothing to do with each other."""

    async def story(gateway, server):
        for _ in range(2):
            await everything(gateway)
            await gateway.fetch_url(f"{server.url}/a.mp4", lambda data: None)
        return server.requests

    requests = meet(story, replies(200, ACCEPTANCE, Set_Cookie="session=1; Path=/; Max-Age=9999"))
    assert len(requests) == 10
    assert all("cookie" not in request.headers for request in requests)


# --- addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example",
        "http://10.0.0.1:3000",
        "http://127.0.0.1.example",
        "http://localhost.example",
        "gateway.example",
        "ftp://gateway.example",
        "https://",
        "https://user:password@gateway.example",
        "https://gateway.example/?key=1",
        "https://gateway.example/#a",
        "http://[::1",
        "",
    ],
)
def test_the_key_is_not_sent_to_an_insecure_address(url):
    """Plain http to another machine, something that is no address, or one with more in it than an address."""
    with pytest.raises(UsageError) as refused:
        check_address(url, False)
    assert refused.value.hint


@pytest.mark.parametrize(
    "url",
    ["https://gateway.example", "https://gateway.example/api/", "http://127.0.0.1:3000", "http://[::1]:1"],
)
def test_the_key_is_sent_to_https_or_this_machine(url):
    """https anywhere, and http on this machine."""
    check_address(url, False)


def test_plain_http_may_be_allowed_by_a_person():
    """`--insecure` allows http to another machine, and nothing else."""
    check_address("http://10.0.0.1", True)
    with pytest.raises(UsageError):
        check_address("ftp://10.0.0.1", True)


def test_an_origin_is_scheme_host_and_port():
    """Scheme, host and port: a path or the default port make no difference."""
    assert origin("https://gateway.example:443/api/") == origin("https://gateway.example")
    assert origin("https://gateway.example") != origin("http://gateway.example")
    assert origin("https://gateway.example:8443") != origin("https://gateway.example")
    assert [is_loopback(url) for url in ("http://127.9.9.9", "http://[::1]", "http://localhost")] == [
        True
    ] * 3
    assert not is_loopback("http://127.0.0.1.example")


def test_a_path_in_the_address_is_kept(meet, client):
    """A gateway below a path is asked below it."""

    async def story(gateway, server):
        async with client(f"{server.url}/below/") as below:
            await everything(below)
        return [request.target for request in server.requests]

    assert meet(story, replies(200, ACCEPTANCE)) == [
        "/below/v1/video/generations",
        "/below/v1/video/generations/task_A",
        "/below/v1/models",
        "/below/v1/videos/task_A/content",
    ]


# --- proxies ------------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_is_used(meet, client, key, monkeypatch):
    """With HTTP_PROXY set, calls to another machine go through it; links as well, without the key."""

    async def story(gateway, proxy):
        monkeypatch.setenv("http_proxy", proxy.url)
        async with client("http://gateway.example", insecure=True) as far:
            await everything(far)
            await far.fetch_url("http://files.example/a.mp4", lambda data: None)
        return [(request.target, request.headers.get("authorization")) for request in proxy.requests]

    bearer = f"Bearer {key}"
    assert meet(story, replies(200, ACCEPTANCE)) == [
        ("http://gateway.example/v1/video/generations", bearer),
        ("http://gateway.example/v1/video/generations/task_A", bearer),
        ("http://gateway.example/v1/models", bearer),
        ("http://gateway.example/v1/videos/task_A/content", bearer),
        ("http://files.example/a.mp4", None),
    ]


def test_a_host_that_needs_no_proxy_is_asked_directly(meet, monkeypatch):
    """`no_proxy` counts."""

    async def story(gateway, server, proxy):
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        await everything(gateway)
        return len(server.requests), len(proxy.requests)

    assert meet(story, replies(200, ACCEPTANCE), replies(200, ACCEPTANCE)) == (4, 0)


def test_a_gateway_on_this_machine_is_never_asked_through_a_proxy(meet, monkeypatch):
    """A simulated gateway works wherever a proxy is set for the world outside."""

    async def story(gateway, server, proxy):
        monkeypatch.setenv("http_proxy", proxy.url)
        await everything(gateway)
        return len(server.requests), len(proxy.requests)

    assert meet(story, replies(200, ACCEPTANCE), replies(200, ACCEPTANCE)) == (4, 0)


def test_a_proxy_that_refuses_a_tunnel_was_not_admitted(meet, client, monkeypatch):
    """Where no tunnel to the gateway comes about, no byte of the request has left."""

    async def story(gateway, proxy):
        monkeypatch.setenv("https_proxy", proxy.url)
        async with client("https://gateway.example") as far:
            outcome = await far.submit(b"{}")
        return outcome, [(request.method, request.target) for request in proxy.requests]

    outcome, requests = meet(story, replies(403, b"<html>no</html>", "text/html"))
    assert isinstance(outcome, NotAdmitted)
    assert requests == [("CONNECT", "gateway.example:443")]


def test_the_key_does_not_go_to_the_proxy_of_a_tunnel(meet, client, key, monkeypatch):
    """A proxy that only passes bytes on is not told the key."""

    async def story(gateway, proxy):
        monkeypatch.setenv("https_proxy", proxy.url)
        async with client("https://gateway.example") as far:
            outcomes = await everything(far)
        assert isinstance(outcomes[-1], FetchFailed)
        return proxy.requests

    requests = meet(story, replies(502, b""))
    assert len(requests) == 4
    assert key not in str([request.headers for request in requests])
