"""Every answer to a poll that says nothing about the task: polled on, no new POST, nothing failed."""

from typing import Any

import pytest

HTML = "<!doctype html><html><body>Welcome</body></html>"
NOTHING = {"code": "success", "message": "", "data": None}


def running(status: str, **more: Any) -> dict[str, Any]:
    """A poll's answer with this status."""
    return {"code": "success", "message": "", "data": {"status": status, "progress": "30%", "data": more}}


ODD: list[tuple[int, Any]] = [
    (200, HTML),
    (200, b""),
    (200, {}),
    (200, NOTHING),
    (200, b'{"code": "success", "data": {"status": "SUC'),
    (200, b'{"data": "' + b"x" * (2 << 20) + b'"}'),
    (200, b"[" * 100_000),
    (200, b"\xff\xfe\x00\x01"),
    (200, running("NOT_START")),
    (200, running("UNKNOWN")),
    (200, running("DREAMING")),
    (200, running("")),
    (200, running("IN_PROGRESS", error={"code": "InternalServiceError"})),
    (200, {"data": {"status": 7}}),
    (200, {"data": ["SUCCESS"]}),
    (200, {"data": {"task_id": "task_another", "status": "FAILURE", "fail_reason": "another's"}}),
    (200, {"status": "failed", "id": "task_another"}),
    (301, b""),
    (307, b""),
    (404, HTML),
    (429, b""),
    (429, {"code": "fail_to_fetch_task", "message": "busy", "data": None}),
    (500, {"code": "get_task_failed", "message": "database is locked", "data": None}),
    (500, b""),
    (502, HTML),
    (503, b""),
    (504, HTML),
    (520, HTML),
]
ENDS = [("SUCCEEDED", "done"), ("completed", "done"), ("Success", "done")]
ENDS += [("failed", "failed"), ("cancelled", "failed"), ("ERROR", "failed")]


def run(desk: Any, relay: Any) -> Any:
    return desk.run("--base-url", relay.url)


def names(count: int) -> list[str]:
    """Ids for so many tasks."""
    return [f"t{number:02}" for number in range(count)]


def test_every_odd_answer_to_a_poll_is_followed_by_another_poll(desk: Any, sim: Any, relay: Any) -> None:
    """Twice each, for a task of its own: done with one POST and one charge each, none failed, exit 0."""
    sim.start()
    for task, (status, body) in zip(names(len(ODD)), ODD, strict=True):
        relay.rule("poll", relay.says(status, body, Location="/elsewhere"), f"{task} ", times=2)
    desk.write(*names(len(ODD)), concurrency=len(ODD))
    desk.check(run(desk, relay), 0)
    assert relay.count("submit") == len(sim.charges()) == len(ODD)
    assert all(row["attempts"] == "1" for row in desk.rows())


def test_a_poll_that_hangs_up_or_never_ends_is_made_again(desk: Any, sim: Any, relay: Any) -> None:
    """Endless headers, a length that is a lie, no HTTP at all: the next poll counts."""

    def endless_headers(exchange: Any) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            exchange.raw(b"X-Header-%d: %s\r\n" % (number, b"x" * 4000))

    def short(exchange: Any) -> None:
        exchange.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{}")

    def no_http(exchange: Any) -> None:
        exchange.raw(b"SSH-2.0-OpenSSH_9.2\r\n")

    sim.start()
    odd = [endless_headers, short, no_http, lambda exchange: exchange.reset()]
    for task, what in zip(names(len(odd)), odd, strict=True):
        relay.rule("poll", what, f"{task} ", times=1)
    desk.write(*names(len(odd)))
    desk.check(run(desk, relay), 0)
    assert relay.count("submit") == len(odd)


def test_other_words_for_an_end_are_understood(desk: Any, sim: Any, relay: Any) -> None:
    """Lower case and the synonyms of other versions: done or failed as they say, one POST each."""

    def in_other_words(word: str) -> Any:
        def edit(answer: dict[str, Any]) -> None:
            if answer["data"]["status"] == "SUCCESS":
                answer["data"]["status"] = word

        return relay.changed(edit)

    sim.start()
    ids = names(len(ENDS))
    for task, (word, _) in zip(ids, ENDS, strict=True):
        relay.rule("poll", in_other_words(word), f"{task} ")
    desk.write(*ids)
    assert run(desk, relay).code == 1
    assert desk.states() == {task: state for task, (_, state) in zip(ids, ENDS, strict=True)}
    assert relay.count("submit") == len(ENDS)


def test_progress_that_goes_back_is_still_in_progress(desk: Any, sim: Any) -> None:
    """An error between the gateway and the model shows 50 % as 30 %: polled on, done, paid once."""
    sim.start({"on": "refresh", "do": "error"}, generation_seconds=100)
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    assert sim.posts() == 2


def test_a_task_that_the_gateway_lost_hold_of_is_failed_and_stays_counted_as_spent(
    desk: Any, sim: Any
) -> None:
    """FAILURE without an upstream code is not refunded, never tried again: exit 1, one POST, cost unknown."""
    sim.start({"on": "refresh", "do": "channel_lost", "prompt": "bee*"})
    desk.write("ant", "bee", max_attempts=9)
    for _ in range(2):
        desk.check(desk.run(), 1)
    assert desk.states() == {"ant": "done", "bee": "failed"}
    assert desk.row("bee")["tokens"] == ""
    assert sim.posts() == 2


@pytest.mark.parametrize("word", ["expired", "cancelled"])
def test_a_generation_the_model_gave_up_fails_and_is_never_submitted_again(
    desk: Any, sim: Any, word: str
) -> None:
    """The gateway shows it in progress for a day: seen three times over 5 min it is failed."""
    sim.start({"on": "generate", "do": "expired", "word": word, "prompt": "bee*"})
    desk.write("bee", "ant", concurrency=1, max_attempts=9, task_deadline="20h")
    desk.check(desk.run(), 1)
    assert desk.states() == {"bee": "failed", "ant": "done"}
    assert desk.row("bee")["error_code"] == f"upstream_{word}"
    assert desk.row("bee")["tokens"] == "", "it may still be charged"
    assert sim.posts() == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_is_refused_in_html_fails_nothing(desk: Any, sim: Any, relay: Any, status: int) -> None:
    """A firewall's page instead of an answer to a poll: exit 4, still generating, resumed for free."""
    sim.start(generation_seconds=200)
    refusing = relay.rule("poll", relay.says(status, HTML))
    desk.write("ant", "bee", "cat", concurrency=2)
    desk.check(run(desk, relay), 4)
    assert desk.states() == {"ant": "generating", "bee": "generating", "cat": "pending"}
    assert refusing.count
    relay.clear()
    desk.check(run(desk, relay), 0)
    assert len(sim.charges()) == 3
