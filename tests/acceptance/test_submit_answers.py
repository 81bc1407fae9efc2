"""Every shape in which the gateway, or what stands before it, answers a POST: row, book and exit code."""

import json
from typing import Any

import pytest


def task_error(code: str, message: str = "told in any language") -> dict[str, Any]:
    """The gateway's shape for submissions and polls."""
    return {"code": code, "message": message, "data": None}


def open_ai(code: str = "", kind: str = "new_api_error") -> dict[str, Any]:
    """The shape of the gateway's first checks."""
    return {"error": {"message": "told in any language (request id: 2026)", "type": kind, "code": code}}


def upstream(code: str) -> dict[str, Any]:
    """The model's own refusal, passed on as a text."""
    error = {"code": code, "message": "the model says no", "param": "", "type": "BadRequest"}
    return task_error("fail_to_fetch_task", json.dumps({"error": error}))


HTML = "<!doctype html><html><body>Welcome</body></html>"
UNKNOWN = [
    (500, open_ai()),
    (500, open_ai(kind="new_api_panic")),
    (500, task_error("some_new_code")),
    (500, task_error("task_insert_failed")),
    (500, b""),
    (500, HTML),
    (502, HTML),
    (503, b""),
    (503, HTML),
    (503, open_ai("some_new_code")),
    (504, HTML),
    (504, task_error("some_new_code")),
    (520, HTML),
    (522, b""),
    (524, HTML),
    (301, b""),
    (307, b""),
    (408, task_error("request_cancelled")),
    (409, open_ai()),
    (425, b""),
    (499, b""),
    (200, HTML),
    (200, b""),
    (200, {}),
    (200, {"code": "success", "data": None}),
    (200, {"id": 7, "task_id": None}),
    (201, {"status": "queued"}),
    (200, b'{"id": "task_cut'),
    (200, b'{"id": "' + b"x" * (2 << 20) + b'"}'),
]
"""Nobody can say whether the gateway accepted: in doubt."""
REJECTED = [
    (400, task_error("invalid_request"), "invalid_request"),
    (400, task_error("model_price_error"), "model_price_error"),
    (400, open_ai(), "http_400"),
    (400, HTML, "http_400"),
    (400, upstream("InputTextSensitiveContentDetected"), "InputTextSensitiveContentDetected"),
    (410, upstream("InvalidEndpoint.Gone"), "InvalidEndpoint.Gone"),
    (413, HTML, "http_413"),
    (413, task_error("read_request_body_failed"), "read_request_body_failed"),
    (422, task_error("invalid_seconds"), "invalid_seconds"),
    (500, task_error("build_request_failed"), "build_request_failed"),
]
"""Surely not accepted, and never will be: failed with the most telling code."""
NOT_ADMITTED = [
    (429, task_error("fail_to_fetch_task")),
    (429, b""),
    (429, HTML),
    (503, open_ai("model_not_found")),
    *((500, task_error(code)) for code in ("update_data_error", "query_data_error", "gen_relay_info_failed")),
    *((500, task_error(code)) for code in ("get_channel_failed", "setup_locked_channel_failed")),
    (502, task_error("fail_to_fetch_task")),
    *((500, task_error(code)) for code in ("do_request_failed", "invalid_response")),
    *((500, task_error(code)) for code in ("read_response_body_failed", "unmarshal_response_body_failed")),
]
"""Surely not accepted for now: pending, and accepted at the next try."""
KEY, MONEY, ADDRESS, OPERATOR = "the key", "balance too low", "this address", "own account"
REFUSED = [
    (401, open_ai(), KEY),
    (401, HTML, KEY),
    (403, open_ai("access_denied"), KEY),
    (403, open_ai(), KEY),
    (402, open_ai("insufficient user quota"), MONEY),
    (402, task_error("insufficient_user_quota"), MONEY),
    (402, b"", MONEY),
    (403, task_error("insufficient_user_quota"), MONEY),
    (403, open_ai("insufficient_user_quota"), MONEY),
    (403, task_error("pre_consume_token_quota_failed"), MONEY),
    (403, open_ai("pre_consume_token_quota_failed"), MONEY),
    (403, HTML, ADDRESS),
    (403, b"", ADDRESS),
    (404, open_ai(), ADDRESS),
    (405, HTML, ADDRESS),
    (401, upstream("AuthenticationError"), OPERATOR),
    (403, upstream("AccountOverdueError"), OPERATOR),
    (404, upstream("ModelNotOpen"), OPERATOR),
]
"""Surely not accepted, and the next one wouldn't be either: pending, exit 4, and what to do."""


def names(count: int) -> list[str]:
    """Ids for so many tasks."""
    return [f"t{number:02}" for number in range(count)]


def run(desk: Any, relay: Any) -> Any:
    return desk.run("--base-url", relay.url)


def test_every_inconclusive_answer_leaves_one_doubt_and_the_others_go_on(
    desk: Any, sim: Any, relay: Any
) -> None:
    """Every other task meets one, charged before it: in doubt after one POST each, the rest done, exit 3."""
    sim.start(usage_log=False)
    for task, (status, body) in zip(names(len(UNKNOWN)), UNKNOWN, strict=True):
        relay.rule("submit", relay.says(status, body, charged=True, Location="/elsewhere"), prompt=f"{task} ")
    well = [f"w{number:02}" for number in range(len(UNKNOWN))]
    pairs = [task for pair in zip(names(len(UNKNOWN)), well, strict=True) for task in pair]
    desk.write(*pairs, concurrency=1, max_in_doubt=99)
    done = run(desk, relay)
    desk.check(done, 3)
    assert desk.states() == dict.fromkeys(names(len(UNKNOWN)), "in_doubt") | dict.fromkeys(well, "done")
    assert all(desk.row(task)["error_code"] for task in names(len(UNKNOWN)))
    assert relay.count("submit") == len(pairs)
    assert f"batchrunner resolve {desk.directory.name} t00 --lost" in done.stdout


def test_every_rejection_fails_its_own_task_once_with_the_most_telling_code(
    desk: Any, sim: Any, relay: Any
) -> None:
    """One POST, nothing charged, failed with the upstream's code where there is one; exit 1."""
    sim.start()
    ids = names(len(REJECTED))
    for task, (status, body, _) in zip(ids, REJECTED, strict=True):
        relay.rule("submit", relay.says(status, body), prompt=f"{task} ")
    desk.write(*ids, "well", concurrency=3)
    desk.check(run(desk, relay), 1)
    told = {task: desk.row(task)["error_code"] for task in ids}
    assert told == {task: code for task, (_, _, code) in zip(ids, REJECTED, strict=True)}
    assert desk.states() == dict.fromkeys(ids, "failed") | {"well": "done"}
    assert (relay.count("submit"), len(sim.charges())) == (len(ids) + 1, 1)


def test_every_temporary_refusal_is_retried_and_made(desk: Any, sim: Any, relay: Any) -> None:
    """429 in any shape, no channel, the gateway's own trouble, a refund: made at the second try, exit 0."""
    sim.start()
    ids = names(len(NOT_ADMITTED))
    for task, (status, body) in zip(ids, NOT_ADMITTED, strict=True):
        relay.rule("submit", relay.says(status, body), prompt=f"{task} ", times=1)
    desk.write(*ids, concurrency=3)
    desk.check(run(desk, relay), 0)
    assert {desk.row(task)["attempts"] for task in ids} == {"2"}
    assert relay.count("submit") == 2 * len(ids)


@pytest.mark.parametrize(("status", "body", "what"), REFUSED, ids=lambda value: str(value)[:40])
def test_an_account_that_is_refused_at_the_start_charges_nothing_and_resumes(
    desk: Any, sim: Any, relay: Any, status: int, body: Any, what: str
) -> None:
    """One POST is refused: exit 4 says what to do, all tasks stay pending, and resume."""
    sim.start()
    refusing = relay.rule("submit", relay.says(status, body))
    desk.write("ant", "bee", "cat", concurrency=1)
    done = run(desk, relay)
    desk.check(done, 4)
    assert what in done.stdout
    assert "hint:" in done.stdout
    assert set(desk.states().values()) == {"pending"}
    assert (refusing.count, sim.charges()) == (1, [])
    relay.clear()
    desk.check(run(desk, relay), 0)
    assert len(sim.charges()) == 3


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [one for number, one in enumerate(REFUSED) if number in (0, 2, 4, 7, 9, 10, 11)],
    ids=lambda value: str(value)[:40],
)
def test_an_account_that_is_refused_midway_polls_and_collects_what_is_paid(
    desk: Any, sim: Any, relay: Any, status: int, body: Any, what: str
) -> None:
    """With two generations in flight nothing more is accepted: both are collected, then exit 4."""
    sim.start(generation_seconds=100)
    for task in ("cat", "dog", "elk"):
        relay.rule("submit", relay.says(status, body), prompt=task)
    desk.write("ant", "bee", "cat", "dog", "elk", concurrency=3)
    done = run(desk, relay)
    desk.check(done, 4)
    assert what in done.stdout
    states = desk.states()
    assert (states["ant"], states["bee"]) == ("done", "done")
    assert {states[task] for task in ("cat", "dog", "elk")} == {"pending"}
    assert relay.count("submit") <= 2 + 3 + (what == MONEY), "a probe after each settlement, no more"
    assert len(sim.charges()) == 2
    relay.clear()
    desk.check(run(desk, relay), 0)
    assert len(sim.charges()) == 5
