"""Passwords of proxies and signatures of links are in nothing that is shown, logged or exported."""

import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

CANARY = "c4n4ry-pass"


class Proxy:
    """An HTTP proxy that refuses every tunnel with 407, or answers 502 where it lets one in."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.accepts = ""
        """The credentials that it lets in, as base64."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                with self._server.accept()[0] as client:
                    head = client.recv(65536).decode()
                    self.heard.append(head)
                    known = self.accepts and f"Basic {self.accepts}" in head
                    status = "502 Bad Gateway" if known else "407 Proxy Authentication Required"
                    client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    def close(self) -> None:
        """Stop."""
        self._server.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in front of everything."""
    proxy = Proxy()
    yield proxy
    proxy.close()


def check_no_canary(desk: Any, *done: Any, kept_in: tuple[str, ...] = ()) -> None:
    """The canary is in no word and in no file of the run directory but those named."""
    for one in done:
        assert CANARY not in one.stdout + one.stderr, one
    for path in desk.directory.rglob("*"):
        if path.is_file() and not path.name.startswith(kept_in):
            assert CANARY.encode() not in path.read_bytes(), path


def test_a_proxy_is_named_without_its_password(desk: Any, proxy: Proxy) -> None:
    """A proxy that answers 407: exit 4, the proxy's address in the hint, its password in no file."""
    desk.write("ant")
    desk.environment["HTTPS_PROXY"] = f"http://user:{CANARY}@127.0.0.1:{proxy.port}"
    preload = desk.folder.parent / "quick"
    preload.mkdir()
    quick = "import batchrunner.engine.startup as takeup\ntakeup.PREFLIGHT_WAITS = (0.0, 0.0)\n"
    (preload / "sitecustomize.py").write_text(quick, encoding="utf-8")
    desk.environment["PYTHONPATH"] = str(preload)
    arguments = ("run", "batch.yaml", "--base-url", "https://gateway.invalid")
    done, as_json = desk.do(*arguments), desk.do(*arguments, "--json")
    assert (done.code, as_json.code) == (4, 4), done.stderr
    assert f"the proxy 127.0.0.1:{proxy.port} answered 407" in done.stdout
    assert "HTTPS_PROXY" in done.stdout
    assert "--base-url" not in done.stdout
    check_no_canary(desk, done, as_json, desk.do("status", "batch.run", "ant", "--json"))


def test_the_proxy_gets_its_password(desk: Any, proxy: Proxy) -> None:
    """Percent-decoded, in the header that only it reads; without `http://` before it, too."""
    desk.write({"id": "ant", "prompt": "ant", "image": "https://files.invalid/a.png"})
    proxy.accepts = "dXNlcjpjNG40cnktcGFzc0A="  # user:c4n4ry-pass@
    desk.environment["HTTPS_PROXY"] = f"user:{CANARY}%40@127.0.0.1:{proxy.port}"
    done = desk.do("validate", "batch.yaml", "--check-urls")
    assert "502" in done.stderr
    assert all(f"Proxy-Authorization: Basic {proxy.accepts}" in head for head in proxy.heard)
    check_no_canary(desk, done)


def test_an_invalid_proxy_is_refused_without_showing_its_password(desk: Any) -> None:
    """A slip in HTTPS_PROXY is exit 2 before a folder is made."""
    desk.write("ant")
    desk.environment["HTTPS_PROXY"] = f"socks5://user:{CANARY}@127.0.0.1:1"
    done = desk.do("run", "batch.yaml", "--base-url", "https://gateway.invalid")
    assert done.code == 2, done.stderr
    assert "HTTPS_PROXY" in done.stderr
    assert not desk.directory.exists()
    check_no_canary(desk, done)


def test_a_password_in_the_base_url_is_not_repeated(desk: Any) -> None:
    """It is refused, in the option, the environment and the manifest."""
    desk.write("ant")
    url = f"https://user:{CANARY}@gateway.invalid"
    told = [desk.do("run", "batch.yaml", "--base-url", url)]
    desk.environment["EASYROUTER_BASE_URL"] = url
    told.append(desk.do("run", "batch.yaml"))
    assert [done.code for done in told] == [2, 2]
    check_no_canary(desk, *told)


def test_signatures_of_links_stay_out_of_words_log_and_csv(desk: Any, sim: Any, relay: Any) -> None:
    """The ledger keeps the request as given and the links; an error that repeats them is cleaned."""
    sim.start()
    image = f"https://user:{CANARY}@files.invalid/a.png?X-Amz-Signature={CANARY}"
    words = f"can't download {image}"
    relay.rule("submit", relay.says(400, {"code": "InvalidParameter", "message": words, "data": None}), "bee")

    def link(answer: dict[str, Any]) -> None:
        if answer["data"]["status"] == "SUCCESS":
            answer["data"]["result_url"] = f"http://127.0.0.1:9/v.mp4?sig={CANARY}"

    def fail(answer: dict[str, Any]) -> None:
        answer["data"] |= {"status": "FAILURE", "fail_reason": words, "data": {"error": {"code": "Odd"}}}

    relay.rule("poll", relay.changed(link), "ant")
    relay.rule("poll", relay.changed(fail), "cat")
    relay.rule("content", relay.says(502, f"<html>{words}</html>"), "ant")
    desk.write(*({"id": name, "prompt": f"{name} runs", "image": image} for name in ("ant", "bee", "cat")))
    done = [desk.run("--base-url", relay.url), desk.do("status", "batch.run")]
    done += [desk.do("status", "batch.run", name, "--json") for name in ("ant", "bee", "cat")]
    done += [desk.do("status", "batch.run", "bee"), desk.do("validate", "batch.yaml", "--check-urls")]
    done.append(desk.do("plan", "batch.yaml", "--json"))
    assert desk.row("bee")["inputs"] == "https://***@files.invalid/a.png?…"
    assert "files.invalid/a.png" in desk.row("bee")["error_message"]
    check_no_canary(desk, *done, kept_in=("ledger.sqlite",))
    ledger = desk.directory / "ledger.sqlite"
    assert ledger.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(ledger)) as db:
        told = db.execute("SELECT error_message FROM tasks UNION SELECT message FROM events").fetchall()
    assert any("files.invalid/a.png" in message for (message,) in told)
    assert CANARY not in str(told)
