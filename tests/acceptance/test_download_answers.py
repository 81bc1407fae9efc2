"""Downloads that no simulator dreams of: endless, refused, redirected, led astray; free to try again."""

from typing import Any

import pytest

HTML = "<!doctype html><html><body>Welcome</body></html>"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
REFUSED: list[tuple[int, Any]] = [
    (206, b"\x00\x00\x00\x18ftypisom"),
    (301, b""),
    (307, b""),
    (400, {"error": {"message": "Task is not completed yet", "type": "invalid_request_error"}}),
    (401, {"error": {"message": "Invalid token", "type": "new_api_error"}}),
    (403, {"error": {"message": "request blocked", "type": "server_error"}}),
    (403, HTML),
    (404, {"error": {"message": "Task not found", "type": "invalid_request_error"}}),
    (410, {"error": {"message": "artifact_gone", "type": "server_error"}}),
    (429, b""),
    (500, {"error": {"message": "Failed to query task", "type": "server_error"}}),
    (502, {"error": {"message": "Upstream service returned status 403", "type": "server_error"}}),
    (503, b""),
    (504, HTML),
    (200, b""),
    (200, HTML),
    (200, {"error": {"message": "no", "type": "server_error"}}),
    (200, b"\x00\x00\x00\x18ftypisom" + bytes(5000)),
]
LINKS = [
    "",
    "the model said no",
    "javascript:alert(1)",
    "file:///etc/hostname",
    "ftp://127.0.0.1/video.mp4",
    "//127.0.0.1/video.mp4",
    "http://",
    "http://[::1",
    "http://127.0.0.1:1/video.mp4",
    "https://gateway.invalid/video.mp4",
]


def names(count: int) -> list[str]:
    """Ids for so many tasks."""
    return [f"t{number:02}" for number in range(count)]


def run(desk: Any, relay: Any) -> Any:
    return desk.run("--base-url", relay.url)


def test_a_video_comes_by_its_link_whatever_the_gateway_answers(desk: Any, sim: Any, relay: Any) -> None:
    """Every refusal and every body that is no video leads to the other source: done, one POST, exit 0."""
    sim.start()
    for task, (status, body) in zip(names(len(REFUSED)), REFUSED, strict=True):
        relay.rule("content", relay.says(status, body, Location="/elsewhere"), f"{task} ")
    desk.write(*names(len(REFUSED)), concurrency=len(REFUSED))
    desk.check(run(desk, relay), 0)
    assert relay.count("submit") == len(REFUSED)


def test_a_download_that_never_ends_is_given_up_and_leaves_nothing(desk: Any, sim: Any, relay: Any) -> None:
    """More bytes than any such video can have: hung up on, no file is left, and the link has the video."""
    sent = []

    def endless(exchange: Any) -> None:
        exchange.raw(HEAD + b"Connection: close\r\n\r\n\x00\x00\x00\x18ftypisom")
        while sum(sent) < 4 << 30:
            exchange.raw(bytes(1 << 20))
            sent.append(1 << 20)

    sim.start()
    relay.rule("content", endless, times=1)
    desk.write("ant")
    desk.check(run(desk, relay), 0)
    assert 0 < sum(sent) < 512 << 20


def test_a_download_of_the_wrong_length_is_not_taken(desk: Any, sim: Any, relay: Any) -> None:
    """Shorter or longer than said, the body is not taken; the video comes by its link."""

    def said(length: int) -> Any:
        def answer(exchange: Any) -> None:
            _, _, body = exchange.pass_on()
            exchange.raw(HEAD + b"Content-Length: %d\r\n\r\n" % (len(body) + length) + body)

        return answer

    sim.start()
    relay.rule("content", said(7), "ant")
    relay.rule("content", said(-7), "bee")
    desk.write("ant", "bee")
    desk.check(run(desk, relay), 0)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_leads_nowhere_is_not_followed_and_the_video_is_fetched_later(
    desk: Any, sim: Any, relay: Any, link: str
) -> None:
    """With nothing but such a link the video is uncollected, exit 1; once the gateway has it, it is free."""

    def astray(answer: dict[str, Any]) -> None:
        task = answer["data"]
        task["result_url"] = link
        if task["data"] and task["data"].get("content"):
            task["data"]["content"]["video_url"] = link

    sim.start(scale=0.001)
    relay.rule("poll", relay.changed(astray))
    relay.rule("content", relay.says(404, {"error": {"message": "Task not found"}}))
    desk.write("ant")
    desk.check(run(desk, relay), 1)
    assert desk.states() == {"ant": "uncollected"}
    assert desk.row("ant")["error_code"]
    assert sim.requests()["GET file server"] == 0
    relay.clear()
    done = desk.do("collect", "batch.run", "--time-scale", "0.001")
    desk.check(done, 0)
    assert relay.count("submit") == 1


def test_another_tasks_video_is_kept_with_a_warning_where_it_differs(desk: Any, sim: Any, relay: Any) -> None:
    """Paid for is paid for: another size and length than asked is done, and the row says how it differs."""
    sim.start()
    videos: dict[str, Any] = {}

    def swapped(exchange: Any) -> None:
        videos["long"] = exchange.pass_on()
        exchange.send(*videos["long"])

    long = {"id": "long", "prompt": "long walk", "duration": 6, "metadata": {"resolution": "720p"}}
    relay.rule("content", swapped, "long")
    desk.write(long)
    desk.check(run(desk, relay), 0)
    relay.rule("content", lambda exchange: exchange.send(*videos["long"]), "ant")
    desk.write(long, "ant")
    desk.check(run(desk, relay), 0)
    warned = desk.row("ant")["warnings"]
    assert "6" in warned
    assert "720" in warned or "480" in warned
    assert desk.row("long")["warnings"] == ""
