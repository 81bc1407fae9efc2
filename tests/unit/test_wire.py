"""JSON on the wire ↔ plain types: what is sent, and what every answer means."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchrunner.core.model import MediaFile
from batchrunner.core.outcome import (
    Accepted,
    AccountRefused,
    Echo,
    GenerationFailed,
    InProgress,
    NotAdmitted,
    NotVisible,
    QueryFailed,
    QueryRefused,
    Succeeded,
    Unknown,
)
from batchrunner.gateway.wire import (
    LONGEST_RETRY_AFTER,
    Answer,
    encode,
    is_json,
    models_listed,
    poll_outcome,
    retry_after_seconds,
    submit_outcome,
)

PROPERTY = settings(max_examples=400)


# --- the shapes of gateway.md, 2.3 --------------------------------------------------------------------


def openai(code: str = "", message: str = "Invalid token (request id: 2026)") -> bytes:
    return json.dumps({"error": {"message": message, "type": "new_api_error", "code": code}}).encode()


def task_error(code: str, message: str = "some words") -> bytes:
    return json.dumps({"code": code, "message": message, "data": None}).encode()


def ark(code: str) -> bytes:
    """The model's own refusal, passed on as text within the message."""
    told = {"error": {"code": code, "message": "The request failed.", "param": "", "type": "BadRequest"}}
    return task_error("fail_to_fetch_task", json.dumps(told))


EMPTY = b""
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>\r\n"
PROXY = b'{"error":{"message":"Failed to fetch video content","type":"server_error"}}'
DASHBOARD = b'{"success":false,"message":"no"}'


def meaning(status: int, body: bytes, **answer: Any) -> str:
    """An outcome in a word: `accepted`, `rejected`, `unknown`, `not admitted: why`, `account: fault`."""
    outcome = submit_outcome(Answer(status, body, **answer))
    match outcome:
        case NotAdmitted(why=why):
            return f"not admitted: {why}"
        case AccountRefused(fault=fault):
            return f"account: {fault}"
        case _:
            return type(outcome).__name__.lower()


BUSY, REFUNDED = "not admitted: gateway_busy", "not admitted: refunded"
THROTTLED, NO_CHANNEL = "not admitted: throttled", "not admitted: model_unavailable"
KEY, MODEL, BALANCE, OPERATOR, ADDRESS = (
    f"account: {fault}" for fault in ("key", "model", "balance", "operator", "address")
)

# gateway.md 2.4, line by line: status, body, what it means.
ERRORS_ON_POST = [
    (401, openai(), KEY),
    (500, openai("", "Database error"), "unknown"),
    (403, openai("access_denied"), KEY),
    (403, openai("", "无权访问 X 分组"), MODEL),
    (400, openai("", "Invalid request: invalid JSON request body"), "rejected"),
    (403, openai("", "This token has no access to model X"), MODEL),
    (503, openai("model_not_found", "No available channel for model X (distributor)"), NO_CHANNEL),
    (404, openai("", "Invalid URL (POST /v1/video)"), ADDRESS),
    *((400, task_error(code), "rejected") for code in ("invalid_request", "invalid_multipart_form")),
    (400, task_error("invalid_seconds"), "rejected"),
    *((400, task_error(code), "rejected") for code in ("model_mapping_failed", "invalid_api_platform")),
    (400, task_error("model_price_error"), "rejected"),
    (400, task_error("read_request_body_failed"), "rejected"),
    (413, task_error("read_request_body_failed"), "rejected"),
    (403, task_error("insufficient_user_quota", "用户额度不足, 剩余额度: ＄0"), BALANCE),
    (403, task_error("pre_consume_token_quota_failed"), BALANCE),
    (402, openai("insufficient_user_quota"), BALANCE),
    (402, task_error("insufficient_user_quota"), BALANCE),
    (402, openai("", "insufficient user quota"), BALANCE),
    (402, b'{"message":"insufficient user quota"}', BALANCE),
    (402, EMPTY, BALANCE),
    *((500, task_error(code), BUSY) for code in ("update_data_error", "query_data_error")),
    *((500, task_error(code), BUSY) for code in ("gen_relay_info_failed", "get_channel_failed")),
    (500, task_error("setup_locked_channel_failed"), BUSY),
    (500, task_error("build_request_failed"), "rejected"),
    (500, task_error("do_request_failed"), REFUNDED),
    (400, ark("InputTextSensitiveContentDetected"), "rejected"),
    (401, ark("AuthenticationError"), OPERATOR),
    (403, ark("AccountOverdueError"), OPERATOR),
    (404, ark("ModelNotOpen"), OPERATOR),
    (500, ark("InternalServiceError"), BUSY),
    (502, task_error("fail_to_fetch_task", "<html>Bad Gateway</html>"), BUSY),
    (503, ark("ServerOverloaded"), BUSY),
    (429, task_error("fail_to_fetch_task", "当前分组上游负载已饱和，请稍后再试"), THROTTLED),
    *((500, task_error(code), REFUNDED) for code in ("read_response_body_failed", "invalid_response")),
    (500, task_error("unmarshal_response_body_failed"), REFUNDED),
    (500, b'{"error":{"message":"Panic detected","type":"new_api_panic"}}', "unknown"),
    (408, task_error("request_cancelled"), "unknown"),
    *((500, task_error(code), "unknown") for code in ("task_insert_failed", "plugin_usage_invalid")),
    (500, task_error("task_billing_settlement_failed"), "unknown"),
    (400, task_error("invalid_resolution"), "rejected"),
    (429, EMPTY, THROTTLED),
]


@pytest.mark.parametrize(("status", "body", "expected"), ERRORS_ON_POST)
def test_every_error_on_post_has_its_outcome(status, body, expected):
    """Each line of the gateway's table of errors on POST has the outcome that the design gives it."""
    assert meaning(status, body) == expected


ANY_BODY = [EMPTY, HTML, openai(), task_error("any"), PROXY, DASHBOARD, b"[1]", b"null", b"\xff\xfe\x00"]
STATUSES = {
    "rejected": (400, 413, 422),
    THROTTLED: (429,),
    BALANCE: (402,),
    ADDRESS: (404, 405),
    KEY: (401,),
    "unknown": (
        *(300, 301, 302, 303, 307, 308),
        *(408, 409, 425, 499),
        *(500, 501, 502, 503, 504, 507, 520, 521, 522, 523, 524, 525, 526, 599),
    ),
}


@pytest.mark.parametrize(
    ("status", "expected"), [(s, word) for word, group in STATUSES.items() for s in group]
)
def test_a_status_means_the_same_in_any_shape(status, expected):
    """Where no code says more, the design's table goes by the status alone, whatever the body is."""
    assert {meaning(status, body) for body in ANY_BODY} == {expected}


@pytest.mark.parametrize("status", [302, 307, 408, 409, 425, 499])
def test_a_status_that_says_nothing_clear_is_in_doubt_also_when_passed_on(status):
    """Timeouts, conflicts and redirects of the model are as unknown as the gateway's own: not rejected."""
    assert meaning(status, ark("RequestTimeout")) == "unknown"


def test_a_firewall_is_a_wrong_address_and_a_gateway_is_not():
    """403 in JSON is about the key or, without a code, the model; 403 in anything else is a firewall."""
    for body in ANY_BODY:
        is_the_gateways = body in (openai(), task_error("any"), PROXY, DASHBOARD)
        about = KEY if body == task_error("any") else MODEL
        assert meaning(403, body) == (about if is_the_gateways else ADDRESS)


BUSY_CODES = [
    *("get_channel_failed", "update_data_error", "query_data_error", "gen_relay_info_failed"),
    *("setup_locked_channel_failed", "fail_to_fetch_task"),
]
REFUNDED_CODES = [
    *("do_request_failed", "invalid_response", "read_response_body_failed"),
    "unmarshal_response_body_failed",
]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520, 524])
@pytest.mark.parametrize("code", BUSY_CODES + REFUNDED_CODES)
def test_a_clean_5xx_is_money_safe_only_in_the_task_errors_shape(code, status):
    """The codes that show a refund count in the TaskError shape alone; in another the POST is in doubt."""
    assert meaning(status, task_error(code)) == (BUSY if code in BUSY_CODES else REFUNDED)
    for body in (openai(code), json.dumps({"code": code}).encode(), json.dumps({"message": code}).encode()):
        assert meaning(status, body) == "unknown"


def test_only_a_shape_decides_and_never_a_message():
    """The same words in any message change nothing: messages are localised."""
    words = ("model_not_found", "insufficient_user_quota", "do_request_failed", "rate limit", "无效的令牌")
    for message in words:
        assert meaning(500, openai("", message)) == "unknown"
        assert meaning(500, task_error("other", message)) == "unknown"
        assert meaning(401, openai("", message)) == KEY


# --- 2xx ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"task_A","task_id":"task_A","object":"video","status":"queued","progress":0}',
        b'{"task_id":"task_A"}',
        b'{"id":"task_A"}',
        b'{"id":"other","task_id":"task_A"}',
        b'{"id":7,"task_id":"task_A"}',
        b'{"id":"task_A","task_id":""}',
        b'{"id":"task_A","task_id":null}',
        b'\xef\xbb\xbf{"id":"task_A"}',
    ],
)
def test_an_id_is_all_that_an_acceptance_needs(body):
    """A 2xx with `task_id` or `id` is accepted under that id."""
    for status in (200, 201, 202):
        outcome = submit_outcome(Answer(status, body, request_id="req-1"))
        assert isinstance(outcome, Accepted)
        assert (outcome.remote_id, outcome.receipt.request_id) == ("task_A", "req-1")


DEEP = 100_000
UNREADABLE = [
    b"",
    b" ",
    b"null",
    b"true",
    b"[]",
    b'["task_A"]',
    b'"task_A"',
    b"7",
    b"{}",
    b'{"id":""}',
    b'{"id":null,"task_id":null}',
    b'{"id":123}',
    b'{"id":["task_A"]}',
    b'{"id":{"task_id":"task_A"}}',
    b'{"data":{"task_id":"task_A"}}',
    b'{"object":"video","status":"queued"}',
    b'{"id":"task_2NCkCgMnnj',
    b'{"id":"task_A"} trailing',
    b'{"id":NaN}',
    b"NaN",
    b'{"id":"\xff\xfe"}',
    b"\xff\xfe\xfd",
    b"\x00",
    b"9" * 10_000,
    b'{"created_at":' + b"9" * 10_000 + b"}",
    b"[" * DEEP,
    b'{"a":' * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    HTML,
    openai(),
]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:24]))
def test_a_2xx_without_a_readable_id_is_in_doubt(body):
    """Whatever is wrong with the body of a 2xx, the submission may have been accepted: nobody knows."""
    for status in (200, 201, 204, 299):
        assert meaning(status, body) == "unknown"


def test_an_unknown_field_does_not_hide_the_id():
    """NaN, huge numbers and unknown fields beside the id change nothing about it."""
    for extra in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 4000, b"[[[]]]", b'{"id":"x"}'):
        assert meaning(200, b'{"x":' + extra + b',"id":"task_A"}') == "accepted"


# Any JSON, lone surrogates included: JSON can hold half a character, UTF-8 can't.
ODD = st.sampled_from(["{", "}", '"', "a", "猫", "\x00", "\ud800", "\udfff"])
TEXT = st.lists(ODD, max_size=4).map("".join) | st.text(max_size=9)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
).map(lambda value: value)  # one branch among others, not ten
CODES = st.sampled_from([*BUSY_CODES, *REFUNDED_CODES, "build_request_failed", "model_not_found", "success"])
WORDS = st.sampled_from(["SUCCESS", "FAILURE", "IN_PROGRESS", "expired"])
MESSAGES = TEXT.map(lambda text: "{" + text) | TEXT | JSON.map(json.dumps)
REFUSALS = st.fixed_dictionaries({"code": CODES | JSON, "message": MESSAGES | JSON})
ERRORS = st.fixed_dictionaries({"error": REFUSALS | JSON})
ACCEPTANCES = st.fixed_dictionaries({"id": TEXT | JSON}, optional={"task_id": TEXT | JSON})
TASKS = st.fixed_dictionaries(
    {"status": WORDS | JSON},
    optional=dict.fromkeys(("fail_reason", "result_url", "finish_time", "error"), JSON)
    | {"data": REFUSALS | JSON},
)
POLLS = TASKS | TASKS.map(lambda task: {"code": "success", "message": "", "data": task})
OBJECTS = REFUSALS | ERRORS | ACCEPTANCES | POLLS | JSON
BODIES = OBJECTS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60)
STATUS = st.integers(100, 999) | st.sampled_from([200, 400, 401, 403, 429, 500, 502, 503])


@PROPERTY
@given(STATUS, BODIES)
def test_no_answer_to_a_post_raises_an_exception(status, body):
    """Any status with any bytes has an outcome, and a 2xx is accepted or in doubt, never anything else."""
    outcome = submit_outcome(Answer(status, body))
    if 200 <= status < 300:
        assert isinstance(outcome, Accepted | Unknown)
    else:
        assert not isinstance(outcome, Accepted)


@PROPERTY
@given(STATUS, BODIES)
def test_no_answer_to_a_poll_raises_an_exception(status, body):
    """Any status with any bytes has an outcome, and only a 200 can end a task."""
    outcome = poll_outcome(Answer(status, body))
    if status != 200:
        assert isinstance(outcome, NotVisible | QueryRefused | QueryFailed)


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":"x","message":"{\\ud800","data":null}',
        b'{"error":{"code":"","message":"{\\udfff","type":"new_api_error"}}',
    ],
)
def test_half_a_character_in_a_message_is_no_reason_to_raise(body):
    """JSON can hold half a character, and a message that looks like an object can, too: no exception."""
    assert meaning(500, body) == "unknown"
    assert isinstance(poll_outcome(Answer(500, body)), QueryFailed)


# --- what an answer says of itself --------------------------------------------------------------------


def test_a_receipt_holds_the_most_telling_code_and_words():
    """Of a refusal passed on, the model's own code and words are kept, with status and request id."""
    receipt = submit_outcome(
        Answer(400, ark("InputTextSensitiveContentDetected"), request_id="req-1")
    ).receipt
    assert (receipt.status, receipt.request_id) == (400, "req-1")
    assert (receipt.code, receipt.message) == ("InputTextSensitiveContentDetected", "The request failed.")
    receipt = submit_outcome(Answer(403, task_error("insufficient_user_quota", "用户额度不足"))).receipt
    assert (receipt.code, receipt.message) == ("insufficient_user_quota", "用户额度不足")


def test_a_receipt_says_what_came_where_it_was_no_json():
    """A web page or nothing at all is told by its status and first words, cut short."""
    assert "502 Bad Gateway" in submit_outcome(Answer(502, HTML)).receipt.message
    assert "502" in submit_outcome(Answer(502, EMPTY)).receipt.message
    long = submit_outcome(Answer(500, task_error("c" * 10_000, "m" * 100_000))).receipt
    assert len(long.code) <= 200
    assert len(long.message) <= 2000


# --- recordings (a running gateway, 2026-11-22), as literals -------------------------------------------

RECORDED_POSTS = [
    *(("04 08 09 10 11 12 24 26 30 39 40 41 42 43 44", 200, "accepted"),),
    ("13 14", 401, KEY, openai("", "Invalid token (request id: 202611221833406550463638268d9d6DcPrnqai)")),
    ("15", 401, KEY, openai("", "无效的令牌 (request id: 202611221833406564632408268d9d66lIXTB2q)")),
    ("16 17", 400, "rejected", task_error("invalid_request", "prompt is required")),
    ("18 22", 400, "rejected", openai("", "Model name not specified, model name cannot be empty")),
    ("19", 503, NO_CHANNEL, openai("model_not_found", "No available channel for model seedance-9")),
    ("20", 403, MODEL, openai("", "This token has no access to model dreamina-seedance-2-0")),
    ("21", 400, "rejected", openai("", "Invalid request: Invalid request: invalid JSON request body")),
    ("23", 400, "rejected", task_error("invalid_request", "json: cannot unmarshal number into Go struct")),
    ("25", 400, "rejected", task_error("invalid_seconds", "seconds must be between 1 and 3600")),
    ("27 28", 500, "rejected", task_error("build_request_failed", "convert request payload failed")),
    ("29", 400, "rejected", task_error("invalid_request", "json: cannot unmarshal string into Go struct")),
    ("31", 403, BALANCE, task_error("pre_consume_token_quota_failed", "token quota is not enough")),
    ("32", 400, "rejected", ark("InputTextSensitiveContentDetected")),
    ("33", 429, THROTTLED, task_error("fail_to_fetch_task", "当前分组上游负载已饱和，请稍后再试")),
    ("34", 401, OPERATOR, ark("AuthenticationError")),
    ("35", 403, OPERATOR, ark("AccountOverdueError")),
    ("36", 500, BUSY, ark("InternalServiceError")),
    ("37", 502, BUSY, task_error("fail_to_fetch_task", "<html>Bad Gateway</html>")),
    ("38", 500, REFUNDED, task_error("invalid_response", "task_id is empty")),
    ("79", 400, "rejected", openai("", "Invalid request: request body exceeds 128 MB")),
]
RECORDED_ACCEPTANCE = (
    b'{"id":"task_2NCkCgMnnjPjfGUl4zPcwDAKyKvX9adw","task_id":"task_2NCkCgMnnjPjfGUl4zPcwDAKyKvX9adw",'
    b'"object":"video","model":"dreamina-seedance-2-0-fast","status":"queued","progress":0,"created_at":1795372420}'
)


@pytest.mark.parametrize("recorded", RECORDED_POSTS, ids=lambda recorded: recorded[0])
def test_recorded_answers_to_a_post_are_understood(recorded):
    """What a running gateway answered to submissions is understood."""
    _, status, expected, *body = recorded
    assert meaning(status, body[0] if body else RECORDED_ACCEPTANCE) == expected


LINK = "http://files.example/files/cgt-20261122183340-00000.mp4?X-Tos-Signature=abc"


def poll_body(status: str, data: object = None, **changes: object) -> bytes:
    """A recorded TaskDto, with another status and the model's own body."""
    task = {
        "id": 1,
        "created_at": 1795372420,
        "updated_at": 1795372452,
        "task_id": "task_2NCkCgMnnjPjfGUl4zPcwDAKyKvX9adw",
        "platform": "45",
        "user_id": 1,
        "group": "default",
        "channel_id": 1,
        "quota": 113663,
        "action": "generate",
        "status": status,
        "fail_reason": "",
        "submit_time": 1795372420,
        "start_time": 0,
        "finish_time": 0,
        "progress": "0%",
        "properties": {"input": "", "origin_model_name": "dreamina-seedance-2-0-fast"},
        "data": data,
    }
    return json.dumps({"code": "success", "message": "", "data": task | changes}).encode()


MADE = {
    "content": {"video_url": LINK},
    "draft": False,
    "duration": 4,
    "framespersecond": 24,
    "id": "cgt-20261122183340-00000",
    "ratio": "16:9",
    "resolution": "480p",
    "seed": 7,
    "status": "succeeded",
    "usage": {"completion_tokens": 40594, "total_tokens": 40594},
}
WHY = "The request failed because the output video may contain sensitive information."
MODERATED = {"status": "failed", "error": {"code": "OutputVideoSensitiveContentDetected", "message": WHY}}


def poll(body: bytes, status: int = 200, **answer: Any):
    return poll_outcome(Answer(status, body, **answer))


@pytest.mark.parametrize(
    ("status", "data", "upstream"),
    [
        ("NOT_START", {"id": "cgt-20261122183340-00000"}, ""),
        ("QUEUED", {"status": "queued"}, "queued"),
        ("IN_PROGRESS", {"status": "running"}, "running"),
        ("IN_PROGRESS", {"status": "expired"}, "expired"),
    ],
)
def test_recorded_polls_of_a_running_task_are_understood(status, data, upstream):
    """What a running gateway shows of an unfinished task: in progress, with the model's own word."""
    body = poll_body(status, data)
    assert poll(body) == InProgress(status, upstream, body.decode(), quota=113663)


def test_a_recorded_success_is_understood():
    """Success brings link, tokens, time, echo and the raw answer, without signatures of links."""
    body = poll_body("SUCCESS", MADE, result_url=LINK, finish_time=1795372452, progress="100%")
    assert poll(body) == Succeeded(
        result_url=LINK,
        last_frame_url="",
        tokens=40594,
        finished_at=1795372452.0,
        echo=Echo(4, "480p", "16:9", 7),
        raw=body.decode().replace("X-Tos-Signature=abc", "…"),
        quota=113663,
    )


def test_a_recorded_failure_is_understood():
    """Failure: the code is the model's, the words are the gateway's, the text in `result_url` is no link."""
    body = poll_body("FAILURE", MODERATED, fail_reason=WHY, result_url=WHY, finish_time=1795372432)
    code = "OutputVideoSensitiveContentDetected"
    assert poll(body) == GenerationFailed(code, WHY, 1795372432.0, body.decode(), charged=113663)


def test_recorded_refusals_of_a_poll_decide_nothing():
    """Unknown ids and refused keys say nothing about how the task stands."""
    assert isinstance(poll(task_error("task_not_exist"), 400), NotVisible)
    assert isinstance(poll(openai(), 401), QueryRefused)
    assert isinstance(poll(openai("", "This token has no access to model "), 403), QueryRefused)
    assert isinstance(poll(openai("", "Invalid URL (GET /v1/video)"), 404), QueryFailed)
    assert isinstance(poll(task_error("get_task_failed"), 500), QueryFailed)


def test_recorded_answers_in_the_openai_form_are_understood():
    """The flat form of the other route is understood as well."""
    flat: dict[str, object] = {"id": "task_A", "object": "video", "progress": 0, "metadata": {"url": ""}}

    def told(**fields: object) -> bytes:
        return json.dumps(flat | fields).encode()

    assert isinstance(poll(told(status="unknown")), InProgress)
    assert isinstance(poll(told(status="in_progress")), InProgress)
    assert isinstance(poll(told(status="completed")), Succeeded)
    failed = poll(
        told(status="failed", error={"message": WHY, "code": "OutputVideoSensitiveContentDetected"})
    )
    assert isinstance(failed, GenerationFailed)
    assert (failed.code, failed.message) == ("OutputVideoSensitiveContentDetected", WHY)


def test_the_flat_form_of_a_later_version_is_understood():
    """A body without any wrapping, as one version answered, is read like the others."""
    body = (
        b'{"created_at":1,"fail_reason":"no","finished_at":1795372432,"status":"FAILURE","task_id":"task_A"}'
    )
    assert poll(body) == GenerationFailed("", "no", 1795372432.0, body.decode())


# --- polls beyond the recordings ----------------------------------------------------------------------


@pytest.mark.parametrize("word", ["SUCCESS", "success", "Succeeded", "completed", "COMPLETED"])
def test_every_word_for_success_is_understood(word):
    """Each synonym of success is one, in any case of letters."""
    assert isinstance(poll(poll_body(word, MADE)), Succeeded)


@pytest.mark.parametrize(
    "word", ["FAILURE", "failure", "failed", "error", "ERROR", "cancelled", "canceled", "expired"]
)
def test_every_word_for_failure_is_understood(word):
    """Each synonym of failure is one, in any case of letters."""
    assert isinstance(poll(poll_body(word)), GenerationFailed)


@pytest.mark.parametrize(
    "word",
    ["NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "UNKNOWN", "REVIEWING", "", "running", "done?"],
)
def test_every_other_word_is_in_progress(word):
    """States that nobody knows yet decide nothing."""
    assert isinstance(poll(poll_body(word)), InProgress)


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":"success","data":null}',
        b'{"code":"success","message":"","data":{}}',
        b'{"code":"success","data":[]}',
        b'{"code":"success"}',
        poll_body("IN_PROGRESS"),
        poll_body("QUEUED", "text"),
        json.dumps({"code": "success", "data": {"status": 3, "data": {"status": 4}}}).encode(),
    ],
)
def test_missing_data_decides_nothing(body):
    """Null or missing data, and values of the wrong type, mean that the task goes on."""
    assert isinstance(poll(body), InProgress)


@pytest.mark.parametrize("status", [200, 429, 500, 502, 503, 504, 301, 404])
def test_a_page_or_garbage_says_nothing_about_the_task(status):
    """Web pages, empty bodies and garbage are failed polls, with their Retry-After."""
    for body in (EMPTY, HTML, b"[1]", b"\xff", b"{"):
        answer = poll(body, status, retry_after=9.0)
        assert isinstance(answer, QueryFailed)
        assert answer.retry_after == 9.0


def test_a_link_counts_only_if_it_is_one():
    """Only http(s) is a link; else the model's own link is taken, or none."""
    for told in ("The request failed", "", "ftp://files.example/a", "javascript:alert(1)", None, 7):
        answer = poll(poll_body("SUCCESS", MADE, result_url=told))
        assert isinstance(answer, Succeeded)
        assert answer.result_url == LINK
        bare = poll(poll_body("SUCCESS", {}, result_url=told))
        assert isinstance(bare, Succeeded)
        assert bare.result_url == ""


def test_a_link_in_fail_reason_is_taken_when_it_is_the_only_one_of_a_success():
    """Older gateways put the link there; beside another link, in another state, or as a text it is none."""
    other = "https://files.example/other.mp4"
    for data, told, link in (
        ({}, {"fail_reason": LINK}, LINK),
        (MADE, {"fail_reason": other}, LINK),
        ({}, {"result_url": LINK, "fail_reason": other}, LINK),
        ({}, {"metadata": {"url": LINK}, "fail_reason": other}, LINK),
        ({}, {"fail_reason": "upstream returned error"}, ""),
    ):
        answer = poll(poll_body("SUCCESS", data, **told))
        assert isinstance(answer, Succeeded)
        assert answer.result_url == link
    assert isinstance(poll(poll_body("FAILURE", {}, fail_reason=LINK)), GenerationFailed)
    assert isinstance(poll(poll_body("IN_PROGRESS", {}, fail_reason=LINK)), InProgress)


def test_a_success_without_details_is_a_success():
    """Missing or impossible tokens, times and echoes are not known, not wrong."""
    for data in (None, {}, {"usage": None}, {"usage": {"total_tokens": "٧"}, "duration": "5", "seed": True}):
        answer = poll(poll_body("SUCCESS", data, finish_time=0))
        assert isinstance(answer, Succeeded)
        assert (answer.tokens, answer.finished_at, answer.echo) == (None, None, Echo())
    for told in (-1, 0, True, "1795372452", None, [1], 10**30):
        assert poll(poll_body("SUCCESS", MADE, finish_time=told)).finished_at is None
    body = poll_body("SUCCESS", MADE, finish_time=math.nan)
    assert poll(body).finished_at is None


def test_tokens_are_counted_from_either_field():
    """The larger one, which may be written as text: the total includes the others."""
    for usage in (
        {"total_tokens": 9, "completion_tokens": 5},
        {"total_tokens": 5, "completion_tokens": 9},
        {"completion_tokens": "9"},
    ):
        assert poll(poll_body("SUCCESS", {"usage": usage})).tokens == 9
    assert poll(poll_body("SUCCESS", {"usage": {"total_tokens": 10**30}})).tokens is None


@pytest.mark.parametrize("charged", [0, 700_000, None, "0"])
def test_a_failure_of_the_gateway_itself_has_no_code(charged):
    """The gateway's own timeout shows the old state upstream: no code; `quota` says what is still charged."""
    body = poll_body("FAILURE", {"status": "running"}, fail_reason="任务超时（1440分钟）", quota=charged)
    answer = poll(body)
    assert isinstance(answer, GenerationFailed)
    assert (answer.code, answer.message) == ("", "任务超时（1440分钟）")
    assert answer.charged == (charged if isinstance(charged, int) else None)


def test_the_list_of_models_is_read():
    """The names in a list of models; anything else is no list."""
    listed = b'{"data":[{"id":"a","object":"model"},{"id":"b"},{},7],"object":"list","success":true}'
    assert models_listed(Answer(200, listed)) == {"a", "b"}
    for answer in (Answer(404, listed), Answer(200, HTML), Answer(200, b'{"data":null}'), Answer(200, b"[]")):
        assert models_listed(answer) is None
    assert is_json(Answer(404, openai()))
    assert not is_json(Answer(200, HTML))


# --- Retry-After --------------------------------------------------------------------------------------

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("15", 15.0),
        ("0015", 15.0),
        ("1200", 1200.0),
        ("3600", LONGEST_RETRY_AFTER),
        ("3601", LONGEST_RETRY_AFTER),
        ("86400", LONGEST_RETRY_AFTER),
        ("86401", None),
        ("9" * 500, None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("²", None),
        ("１５", None),
        ("١٥", None),
        ("15 s", None),
        ("+15", None),
        ("0x10", None),
        ("Sun, 06 Nov 1994 08:50:0７ GMT", None),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:49:07 GMT", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sunday, 06-Nov-94 08:50:07 GMT", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Sun, 99 Nov 1994 08:50:07 GMT", None),
    ],
)
def test_every_form_of_retry_after_is_understood(header, seconds):
    """Seconds or a date, an hour at most; anything else, or an absurd one, is as if it were not there."""
    assert retry_after_seconds(header, NOW) == seconds


def test_a_date_without_a_zone_is_in_gmt(monkeypatch):
    """The old form of an HTTP date names no zone and means GMT, wherever this machine is."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert retry_after_seconds("Sun Nov  6 08:50:07 1994", NOW) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


@PROPERTY
@given(
    TEXT
    | st.from_regex(r"\A[0-9]{1,400}\Z")
    | st.builds(
        "Sun, {} Nov {} 08:{}:37 {}".format, *[st.integers() | st.sampled_from(["GMT", "+0000", "-0000"])] * 4
    )
)
def test_no_retry_after_header_raises_an_exception(header):
    """Whatever stands in the header, the answer that it came with is not lost over it."""
    seconds = retry_after_seconds(header, NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_RETRY_AFTER


def test_an_absurd_zone_in_retry_after_does_not_raise():
    """A time zone that no clock can have is as if there were no header."""
    assert retry_after_seconds("Sun, 06 Nov 1994 08:50:07 +99999999999999999999", NOW) is None


# --- what is sent -------------------------------------------------------------------------------------


def sent(request: dict[str, Any], seed: int | None = None) -> Any:
    body = encode(request, lambda media: f"data:{media.mime};base64,QUJD")
    return json.loads(body.with_seed(seed))


def test_a_length_is_sent_three_ways_equal():
    """1 s and above: `duration`, `seconds` as a string, and `metadata.duration`."""
    for duration in (1, 5, 15):
        body = sent({"prompt": "a", "metadata": {"duration": duration}})
        assert body == {
            "prompt": "a",
            "duration": duration,
            "seconds": str(duration),
            "metadata": {"duration": duration},
        }
        assert isinstance(body["duration"], int)


def test_a_length_that_the_model_chooses_stands_in_metadata_alone():
    """-1 at the top level would be refused by some gateways."""
    assert sent({"prompt": "a", "metadata": {"duration": -1}}) == {
        "prompt": "a",
        "metadata": {"duration": -1},
    }


def test_frames_go_without_a_length():
    """A length counted in frames sends no seconds at all."""
    assert sent({"prompt": "a", "metadata": {"frames": 121}}) == {"prompt": "a", "metadata": {"frames": 121}}


def test_the_seed_of_the_attempt_is_what_is_sent():
    """The claim's seed stands in the metadata, once, in the place of the request's own."""
    request = {"prompt": "a", "metadata": {"duration": -1, "seed": 1}}
    raw = encode(request, str).with_seed(2**31 - 1)
    assert json.loads(raw)["metadata"] == {"duration": -1, "seed": 2**31 - 1}
    assert raw.count(b'"seed"') == 1
    for seed in (0, -1, 7):
        assert sent(request, seed)["metadata"]["seed"] == seed
    assert "seed" not in sent({"prompt": "a", "metadata": {}}, None)["metadata"]


def test_empty_metadata_takes_a_seed():
    """Metadata without anything else, or missing, holds the seed alone."""
    for request in (
        {"prompt": "a"},
        {"prompt": "a", "metadata": {}},
        {"prompt": "a", "metadata": {"seed": 5}},
    ):
        assert sent(request, 42) == {"prompt": "a", "metadata": {"seed": 42}}
        assert sent(request) == {"prompt": "a", "metadata": {}}


def test_one_encoding_serves_any_seed():
    """The body is made before the seed is known; the same body takes any."""
    body = encode({"prompt": "ends with }}", "metadata": {"ratio": "{"}}, str)
    assert [json.loads(body.with_seed(seed))["metadata"].get("seed") for seed in (1, 2, None)] == [1, 2, None]


def test_local_files_are_sent_as_data_uris_wherever_they_stand():
    """A picture on this machine becomes a data URI in `image`, `images` and the content's items."""
    picture = MediaFile("/a/cat.jpg", "cat.jpg", "0" * 64, "image/jpeg", 3)
    uri = "data:image/jpeg;base64,QUJD"
    content = [{"type": "image_url", "image_url": {"url": picture}, "role": "first_frame"}]
    body = sent({"image": picture, "images": [picture, "https://a/b.png"], "metadata": {"content": content}})
    assert body["image"] == uri
    assert body["images"] == [uri, "https://a/b.png"]
    assert body["metadata"]["content"] == [
        {"type": "image_url", "image_url": {"url": uri}, "role": "first_frame"}
    ]


def test_errors_from_reading_a_file_pass_through():
    """A picture that can't be read stops the sending, whatever it raises."""
    picture = MediaFile("/a/cat.jpg", "cat.jpg", "0" * 64, "image/jpeg", 3)

    def unreadable(media: MediaFile) -> str:
        raise KeyError(media.shown)

    with pytest.raises(KeyError, match=r"cat\.jpg"):
        encode({"image": picture}, unreadable)


@PROPERTY
@given(
    st.text(), st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.booleans()), st.integers(0)
)
def test_every_value_arrives_as_it_was_written(prompt, metadata, seed):
    """Any text, in any script, is what the gateway reads; types stay."""
    given_fields = {name: value for name, value in metadata.items() if name not in ("seed", "duration")}
    body = sent({"prompt": prompt, "metadata": given_fields}, seed)
    assert body == {"prompt": prompt, "metadata": given_fields | {"seed": seed}}


@pytest.mark.parametrize(
    "usage", [{}, None, {"total_tokens": 0}, {"total_tokens": 0, "completion_tokens": 0}]
)
def test_a_success_without_tokens_leaves_them_open(usage):
    """0 tokens would mean that it was refunded, and give its budget back."""
    outcome = poll(poll_body("SUCCESS", MADE | {"usage": usage}, result_url=LINK))
    assert isinstance(outcome, Succeeded)
    assert outcome.tokens is None
