"""`--check-urls`: what a server answers, and what is said of it."""

import asyncio
import base64
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from batchrunner.core.problems import Problem, Severity
from batchrunner.manifest import load_manifest
from batchrunner.operations.check_urls import check_urls

PNG = (Path(__file__).parents[2] / "data" / "valid" / "media" / "dot.png").read_bytes()
MP4 = b"\0\0\0\x18ftypmp42" + b"\0" * 100
HOST = "127.0.0.1"


class Files:
    """A server with some files, good and bad."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Whatever the path says."""
        self.asked[request.path_qs] += 1
        self.headers.append(dict(request.headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self._answer(request)
        finally:
            self.at_once -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path[1:]
        if name.isdigit():
            return web.Response(status=int(name))
        if name == "moved.png":
            raise web.HTTPFound("/a.png?signed=sk-0123456789")
        if name == "round":
            raise web.HTTPFound("/round")
        if name == "cut" and request.transport:
            request.transport.abort()
        if name == "page.png":
            return web.Response(text="<html>login</html>", content_type="text/html")
        if name == "slow.png":
            await asyncio.sleep(2)
        if name == "whole.png":  # knows nothing of ranges
            return web.Response(body=PNG, content_type="application/octet-stream")
        if name == "endless.png":
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(PNG * 100)
        if name == "huge.png":
            return web.Response(status=206, body=PNG[:32], headers={"Content-Range": "bytes 0-31/31000000"})
        if name == "quick.png":
            await asyncio.sleep(0.02)
        body = MP4 if name.endswith(".mp4") else b"ID3" + bytes(40) if name.endswith(".mp3") else PNG
        return web.Response(status=206, body=body[:32])


def told(folder: Path, *urls: str, files: Files | None = None, **bounds: float) -> list[Problem]:
    """What is found about a manifest whose tasks begin with these pictures, in their order."""
    files = files or Files()

    async def ask() -> tuple[Problem, ...]:
        app = web.Application()
        app.router.add_get("/{name:.*}", files.answer)
        runner = web.AppRunner(app, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            tasks = [
                f"  - {{prompt: task {n}, image: '{url.replace('@', f'http://{HOST}:{port}')}'}}\n"
                for n, url in enumerate(urls)
            ]
            path = folder / "m.yaml"
            head = "version: 1\ndefaults: {model: dreamina-seedance-2-0}\ntasks:\n"
            path.write_text(head + "".join(tasks), encoding="utf-8")
            return await check_urls(load_manifest(path, with_urls=True), **bounds)
        finally:
            await runner.cleanup()

    return list(asyncio.run(ask()))


def words(problem: Problem) -> str:
    """Severity and message, without the server's port."""
    message = problem.message.replace(f"{HOST}:{message_port(problem.message)}", "host")
    return f"{problem.severity}: {message}"


def message_port(message: str) -> str:
    """The port in a message that names the server."""
    return message.partition(f"{HOST}:")[2].partition("/")[0]


@pytest.mark.parametrize("name", ["a.png", "whole.png", "endless.png", "moved.png", "猫.png"])
def test_a_url_that_works_gives_no_finding(name: str, tmp_path: Path) -> None:
    """With ranges or without, however long it is, here or where it has moved to."""
    assert told(tmp_path, f"@/{name}") == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("404", "error: host/404 was not found: HTTP 404"),
        ("410", "error: host/410 was not found: HTTP 410"),
        ("403", "warning: host/403 is not accessible: HTTP 403"),
        ("500", "warning: host/500 returns HTTP 500"),
        ("page.png", "warning: host/page.png is a web page"),
        ("b.mp4", "warning: host/b.mp4 is not a supported picture file"),
        ("huge.png", "warning: host/huge.png is 31.0 MB; the limit is 30 MB"),
        ("slow.png", "warning: host/slow.png timed out"),
    ],
)
def test_a_url_that_fails_is_reported(name: str, expected: str, tmp_path: Path) -> None:
    """Only what is gone for everybody is an error."""
    (problem,) = told(tmp_path, f"@/{name}", patience=0.5)
    assert words(problem) == expected
    assert problem.hint
    assert problem.place.snippet[problem.place.column - 1 :].startswith("'http://")


def test_an_address_that_nobody_answers_is_a_warning(tmp_path: Path) -> None:
    """It may be reachable from where the model is."""
    (problem,) = told(tmp_path, "http://127.0.0.1:1/a.png")
    assert problem.severity is Severity.WARNING
    assert problem.message == "127.0.0.1:1/a.png can't be fetched: the host can't be reached"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("@/round", "too many redirects"),
        ("@/cut", "the connection was lost"),
    ],
)
def test_why_a_url_can_not_be_fetched_is_said_in_our_words(url: str, why: str, tmp_path: Path) -> None:
    """The library's own words differ between versions, and may hold what is secret."""
    (problem,) = told(tmp_path, url)
    assert problem.message.endswith(f" can't be fetched: {why}")


def test_the_password_of_a_proxy_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is not there is not named with its user."""
    monkeypatch.setenv("http_proxy", "http://user:canary@127.0.0.1:1")
    (problem,) = told(tmp_path, "http://example.com/a.png")
    assert problem.message == "example.com/a.png can't be fetched: the proxy can't be reached"


def test_a_password_with_a_slash_is_not_shown(tmp_path: Path) -> None:
    """It isn't where a URL has its user, and the URL can't be requested."""
    path, url = tmp_path / "m.yaml", "https://bob:cana/ry12@files.example.com/a.png"
    head = "version: 1\ndefaults: {model: dreamina-seedance-2-0}\ntasks:\n"
    path.write_text(f"{head}  - {{prompt: a cat, image: '{url}'}}\n", encoding="utf-8")
    (problem,) = asyncio.run(check_urls(load_manifest(path, with_urls=True)))
    assert problem.message.startswith("files.example.com/a.png can't be fetched")
    assert "ry12" not in problem.message


def test_each_url_is_requested_once_and_reported_at_its_first_place(tmp_path: Path) -> None:
    """However many tasks have it; errors come first."""
    files = Files()
    found = told(tmp_path, "@/a.png", "@/500", "@/404", "@/a.png", "@/404", files=files)
    assert files.asked == {"/a.png": 1, "/404": 1, "/500": 1}
    assert [(problem.severity, problem.place.line) for problem in found] == [("error", 6), ("warning", 5)]


def test_no_secret_is_sent_or_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our key, nor a password from .netrc, nor what signs a link."""
    monkeypatch.setenv("EASYROUTER_API_KEY", "sk-0123456789abcdef")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text(f"machine {HOST} login me password secret\n")
    files = Files()
    (problem,) = told(tmp_path, "@/404?signature=very-secret#part", files=files)
    (sent,) = files.headers
    assert sent.keys() == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Range"}
    assert "secret" not in problem.message


def test_few_are_asked_at_once_and_not_for_ever(tmp_path: Path) -> None:
    """What there was no time for is counted."""
    files = Files()
    assert told(tmp_path, *[f"@/quick.png?{n}" for n in range(60)], files=files) == []
    assert 1 < files.most_at_once <= 8
    (problem,) = told(tmp_path, *[f"@/slow.png?{n}" for n in range(20)], at_most=0.3)
    assert words(problem) == "warning: 20 more URLs were not checked within 0.3 s"


def test_files_assets_and_data_uris_are_not_asked_for(tmp_path: Path) -> None:
    """There is nobody to ask; a video and a sound are held to what they should be."""
    (tmp_path / "cat.png").write_bytes(PNG)
    data = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert told(tmp_path, "cat.png", "asset://asset-1", data) == []
    path = tmp_path / "m.yaml"
    path.write_text("""version: 1
tasks:
  - model: dreamina-seedance-2-0
    prompt: A cat
    metadata:
      content:
        - {type: video_url, video_url: {url: "https://example.com/a.mp4"}}
        - {type: audio_url, audio_url: {url: "https://example.com/a.mp3"}}
""")
    loaded = load_manifest(path, with_urls=True)
    assert [(use.kind, use.place.line) for use in loaded.urls] == [("video", 7), ("audio", 8)]
    assert load_manifest(path).urls == ()
