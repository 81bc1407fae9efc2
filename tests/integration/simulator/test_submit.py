"""What the gateway accepts and refuses, in the recorded shapes."""

import io
from typing import Any

import pytest

FAST = "dreamina-seedance-2-0-fast"


POST = "/v1/video/generations"


def test_an_accepted_submission_answers_as_recorded(night: Any) -> None:
    """200 with both ids, and a fresh request id on every answer."""

    async def story(gateway: Any) -> Any:
        return [await gateway.submit("一只猫"), await gateway.submit("一只猫")]

    first, second = night(story)
    assert list(first.json) == ["id", "task_id", "object", "model", "status", "progress", "created_at"]
    assert first.json["id"] == first.json["task_id"] != second.json["id"]
    assert first.json["task_id"].startswith("task_")
    assert len(first.json["task_id"]) == 37
    assert first.headers["X-New-Api-Version"] == "v0.0.0"
    assert first.headers["X-New-Api-Other-Ratios"] == "{}"
    assert first.headers["Content-Type"] == "application/json; charset=utf-8"
    assert int(first.headers["Content-Length"]) == 205
    assert first.headers["X-Oneapi-Request-Id"] != second.headers["X-Oneapi-Request-Id"]


BUILD_FAILED = "convert request payload failed: unmarshal metadata failed: unmarshal metadata failed: "


REFUSED: list[tuple[str, dict[str, Any], int, dict[str, Any]]] = [
    ("no prompt", {"prompt": None}, 400, {"code": "invalid_request", "message": "prompt is required"}),
    ("blank prompt", {"prompt": "   "}, 400, {"code": "invalid_request", "message": "prompt is required"}),
    (
        "seconds as a number",
        {"seconds": 5},
        400,
        {
            "code": "invalid_request",
            "message": "json: cannot unmarshal number into Go struct field .Alias.seconds of type string",
        },
    ),
    (
        "negative duration",
        {"duration": -1},
        400,
        {"code": "invalid_seconds", "message": "seconds must be between 1 and 3600"},
    ),
    (
        "images as a string",
        {"images": "https://files.example/a.jpg"},
        400,
        {
            "code": "invalid_request",
            "message": "json: cannot unmarshal string into Go struct field .Alias.images of type []string",
        },
    ),
    (
        "seed with a fraction",
        {"metadata": {"seed": 1.5}},
        500,
        {
            "code": "build_request_failed",
            "message": BUILD_FAILED
            + "json: cannot unmarshal number into Go struct field requestPayload.seed of type string",
        },
    ),
    (
        "watermark as a number",
        {"metadata": {"watermark": 1}},
        500,
        {
            "code": "build_request_failed",
            "message": BUILD_FAILED
            + "json: cannot unmarshal number into Go struct field requestPayload.watermark of type string",
        },
    ),
]


@pytest.mark.parametrize(
    ("body", "status", "answer"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_a_wrong_field_is_refused(
    night: Any, body: dict[str, Any], status: int, answer: dict[str, Any]
) -> None:
    """Field errors come in the task shape, are counted, and cost nothing."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(**body), await gateway.charges(), await gateway.requests()

    reply, charges, requests = night(story)
    assert (reply.status, reply.json) == (status, {**answer, "data": None})
    assert charges == []
    assert requests["refused_submits"] == 1


OPENAI_REFUSED: list[tuple[str, str | None, dict[str, Any], int, str, str]] = [
    ("no key", None, {}, 401, "", "Invalid token"),
    ("unknown key", "sk-unknown", {}, 401, "", "Invalid token"),
    ("bad key", "sk-bad-one", {}, 401, "", "Invalid token"),
    ("no model", "sk-main", {"model": None}, 400, "", "Model name not specified, model name cannot be empty"),
    (
        "unknown model before an empty prompt",
        "sk-main",
        {"model": "seedance-9", "prompt": None},
        503,
        "model_not_found",
        "No available channel for model seedance-9 under group default (distributor)",
    ),
    (
        "not for this key",
        "sk-limited",
        {"model": "dreamina-seedance-2-0"},
        403,
        "",
        "This token has no access to model dreamina-seedance-2-0",
    ),
]


@pytest.mark.parametrize(
    ("key", "body", "status", "code", "message"),
    [case[1:] for case in OPENAI_REFUSED],
    ids=[c[0] for c in OPENAI_REFUSED],
)
def test_key_and_model_are_refused_in_the_openai_shape(
    night: Any, key: str | None, body: dict[str, Any], status: int, code: str, message: str
) -> None:
    """Errors of key and model come in the OpenAI shape, with the request id in the message."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(key=key, **body), await gateway.charges()

    reply, charges = night(story)
    request_id = reply.headers["X-Oneapi-Request-Id"]
    assert reply.status == status
    assert reply.json == {
        "error": {"code": code, "message": f"{message} (request id: {request_id})", "type": "new_api_error"}
    }
    assert charges == []


def test_messages_are_localized(night: Any) -> None:
    """Accept-Language zh gives the Chinese text."""

    async def story(gateway: Any) -> Any:
        headers = {"Accept-Language": "zh-CN"}
        return await gateway.call("POST", POST, "sk-unknown", json={"model": FAST}, headers=headers)

    assert night(story).json["error"]["message"].startswith("无效的令牌 (request id: ")


def test_a_body_that_is_no_json_is_refused(night: Any) -> None:
    """Cut JSON is an invalid request; another content type is not looked at."""

    async def story(gateway: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        cut = await gateway.call("POST", POST, data=b'{"model": "x", "prom', headers=headers)
        text = await gateway.call("POST", POST, data=b'{"model":"x"}', headers={"Content-Type": "text/plain"})
        return cut, text

    cut, text = night(story)
    message = cut.json["error"]["message"]
    assert (cut.status, message.split(" (")[0]) == (
        400,
        "Invalid request: Invalid request: invalid JSON request body",
    )
    assert (text.status, text.json["error"]["message"].split(",")[0]) == (400, "Model name not specified")


def test_a_body_over_128_mb_is_refused(night: Any) -> None:
    """400 in the OpenAI shape, and the connection closes."""

    async def story(gateway: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        return await gateway.call(
            "POST", POST, data=io.BytesIO(bytes(128 * 1024 * 1024 + 1)), headers=headers
        )

    reply = night(story)
    assert (reply.status, reply.headers["Connection"]) == (400, "close")
    assert "request body exceeds 128 MB" in reply.json["error"]["message"]


def test_both_submit_routes_are_the_same(night: Any) -> None:
    """POST /v1/videos makes a task like the other route, and the counts tell them apart."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted()
        reply = await gateway.call("POST", "/v1/videos", json={"model": FAST, "prompt": "x", "seconds": "4"})
        return reply, await gateway.charges(), await gateway.requests()

    reply, charges, requests = night(story)
    assert reply.status == 200
    assert [charge["path"] for charge in charges] == ["/v1/video/generations", "/v1/videos"]
    assert requests["requests"]["POST /v1/videos"] == 1
    assert requests["requests"]["POST /v1/video/generations"] == 1


def test_unknown_routes_and_ids_are_refused_as_recorded(night: Any) -> None:
    """Other paths and HEAD are 404 as recorded; an unknown id is 400 to a poll and 404 to a download."""

    async def story(gateway: Any) -> Any:
        return [
            await gateway.call("GET", "/v1/videos"),
            await gateway.call("HEAD", "/v1/videos/task_0/content"),
            await gateway.call("GET", "/v1/video/generations/task_0"),
            await gateway.call("GET", "/v1/videos/task_0"),
            await gateway.call("GET", "/v1/videos/task_0/content"),
            await gateway.call("GET", "/v1/video/generations/task_0", "sk-unknown"),
        ]

    path, head, poll, openai, content, key = night(story)
    assert path.json == {
        "error": {
            "message": "Invalid URL (GET /v1/videos)",
            "type": "invalid_request_error",
            "param": "",
            "code": "",
        }
    }
    assert (path.status, head.status, head.body) == (404, 404, b"")
    unknown = {"code": "task_not_exist", "message": "task_not_exist", "data": None}
    assert (poll.status, poll.json, openai.status, openai.json) == (400, unknown, 400, unknown)
    error = {"error": {"message": "Task not found", "type": "invalid_request_error"}}
    assert (content.status, content.json) == (404, error)
    assert key.status == 401


def test_models_are_those_of_the_key(night: Any) -> None:
    """GET /v1/models lists what the key may use, and refuses an unknown key."""

    async def story(gateway: Any) -> Any:
        return [
            await gateway.call("GET", "/v1/models", key) for key in ("sk-main", "sk-limited", "sk-unknown")
        ]

    whole, limited, unknown = night(story)
    assert [model["id"] for model in whole.json["data"]] == ["dreamina-seedance-2-0", FAST]
    assert [model["id"] for model in limited.json["data"]] == [FAST]
    assert unknown.status == 401
