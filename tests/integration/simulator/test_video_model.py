"""What the model is asked for: lengths, sizes, seeds and media, and what that costs."""

import hashlib
import json
from typing import Any

import pytest

FAST = "dreamina-seedance-2-0-fast"


UPSTREAM: list[tuple[str, int, str]] = [
    ("ark:inputmod", 400, "InputTextSensitiveContentDetected"),
    ("ark:r401", 401, "AuthenticationError"),
    ("ark:r403", 403, "AccountOverdueError"),
    ("ark:r500", 500, "InternalServiceError"),
]


@pytest.mark.parametrize(("prompt", "status", "code"), UPSTREAM)
def test_an_upstream_refusal_is_passed_on_as_text(night: Any, prompt: str, status: int, code: str) -> None:
    """The upstream's status and whole body come through in the task shape, and nothing is charged."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(prompt), await gateway.charges()

    reply, charges = night(story)
    assert (reply.status, reply.json["code"]) == (status, "fail_to_fetch_task")
    assert json.loads(reply.json["message"])["error"]["code"] == code
    assert charges == []


@pytest.mark.parametrize(
    ("prompt", "status", "answer"),
    [
        ("ark:r429", 429, {"code": "fail_to_fetch_task", "message": "当前分组上游负载已饱和，请稍后再试"}),
        ("ark:html", 502, {"code": "fail_to_fetch_task", "message": "<html>Bad Gateway</html>"}),
        ("ark:noid", 500, {"code": "invalid_response", "message": "task_id is empty"}),
    ],
)
def test_a_garbled_upstream_answer_is_refunded(
    night: Any, prompt: str, status: int, answer: dict[str, Any]
) -> None:
    """An upstream that is busy or makes no sense gives an error in the task shape, and no charge."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(prompt), await gateway.charges()

    reply, charges = night(story)
    assert (reply.status, reply.json) == (status, {**answer, "data": None})
    assert charges == []


def test_angle_brackets_are_escaped_as_go_does(night: Any) -> None:
    """The recorded length of the HTML refusal, 98 bytes, counts escaped brackets."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit("ark:html")

    assert int(night(story).headers["Content-Length"]) == 98


LENGTHS: list[tuple[str, dict[str, Any], int | None, int]] = [
    ("top-level duration alone is ignored", {"duration": 10, "metadata": {}}, 5, 121),
    ("metadata counts", {"metadata": {"duration": 4}}, 4, 97),
    ("seconds wins over metadata", {"seconds": "10", "metadata": {"duration": 5}}, 10, 241),
    ("seconds with a unit is ignored", {"seconds": "10s", "metadata": {"duration": 4}}, 4, 97),
    ("a fraction is dropped", {"duration": 7.5, "metadata": {}}, 5, 121),
    ("text is a number too", {"metadata": {"duration": "6"}}, 6, 145),
    ("frames", {"metadata": {"frames": 121}}, None, 121),
    ("metadata as a JSON text", {"metadata": '{"duration":7}'}, 7, 169),
    ("metadata nested too deeply is ignored", {"metadata": "[" * 200_000}, 5, 121),
    ("metadata of another type is ignored", {"metadata": [1]}, 5, 121),
]


@pytest.mark.parametrize(
    ("body", "duration", "frames"), [case[1:] for case in LENGTHS], ids=[c[0] for c in LENGTHS]
)
def test_a_video_has_the_length_the_model_makes(
    night: Any, body: dict[str, Any], duration: int | None, frames: int
) -> None:
    """The model is asked for the length as the recorded gateway maps it."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted(**body)
        return (await gateway.charges())[0]

    charge = night(story)
    assert (charge["duration"], charge["frames"]) == (duration, frames)


def test_values_left_to_the_model_are_drawn(night: Any) -> None:
    """A length from 4 to 15 seconds and a ratio: the same for the same request, and not for every one."""

    async def story(gateway: Any) -> Any:
        for number in [*range(12), 0]:
            await gateway.accepted(f"cat {number}", metadata={"duration": -1, "ratio": "adaptive"})
        return await gateway.charges()

    made = [(charge["duration"], charge["ratio"]) for charge in night(story)]
    assert made[0] == made[-1]
    assert len({length for length, _ in made}) > 3
    assert all(4 <= length <= 15 for length, _ in made)
    assert len({ratio for _, ratio in made}) > 3


SIZES = [
    ({}, (1280, 720), 108_900, 304_920),
    ({"resolution": "480p", "ratio": "9:16"}, (496, 864), 50_638, 141_786),
    ({"Resolution": "480p"}, (864, 496), 50_638, 141_786),
    ({"resolution": "480p", "Resolution": "1080p"}, (864, 496), 50_638, 141_786),
    ({"resolution": "1080p", "ratio": "21:9"}, (2206, 946), 246_593, 690_460),
]


@pytest.mark.parametrize(("metadata", "size", "tokens", "settled"), SIZES)
def test_size_tokens_and_price_follow_from_the_request(
    night: Any, metadata: dict[str, Any], size: tuple[int, int], tokens: int, settled: int
) -> None:
    """Size by resolution and ratio, tokens by size and frames, money by tokens; unknown keys vanish."""

    async def story(gateway: Any) -> Any:
        await gateway.accepted(metadata={**metadata, "foo": 1})
        return (await gateway.charges())[0]

    charge = night(story)
    assert ((charge["width"], charge["height"]), charge["tokens"]) == (size, tokens)
    assert (charge["hold"], charge["settled"]) == (700_000, settled)


def test_an_impossible_shape_is_refused_upstream(night: Any) -> None:
    """A resolution that the model does not have comes back as the upstream's 400."""

    async def story(gateway: Any) -> Any:
        return await gateway.submit(metadata={"resolution": "480"})

    reply = night(story)
    assert reply.status == 400
    assert json.loads(reply.json["message"])["error"]["code"] == "InvalidParameter"


def test_the_book_keeps_hashes_of_media_and_never_the_key(night: Any, tmp_path: Any) -> None:
    """A data URI stands as SHA-256 and length; the key and the bytes are nowhere in the state directory."""
    uri = "data:image/png;base64," + "QUJD" * 50
    canary = "sk-canary-31415926"

    async def story(gateway: Any) -> Any:
        content = [{"type": "video_url", "role": "reference_video", "video_url": {"url": "https://x/v.mp4"}}]
        assert (await gateway.submit(image=uri, key=canary)).status == 200
        assert (await gateway.submit(metadata={"content": content}, key=canary)).status == 200
        return await gateway.charges()

    first, second = night(story)
    kept = {"sha256": hashlib.sha256(uri.encode()).hexdigest(), "length": len(uri)}
    assert first["media"] == [{"type": "image_url", "role": None, "url": kept}]
    assert first["request"]["image"] == kept
    assert second["media"] == [{"type": "video_url", "role": "reference_video", "url": "https://x/v.mp4"}]
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert canary.encode() not in written
    assert b"QUJDQUJD" not in written
    assert first["key"].startswith("key-")


def test_an_open_seed_is_drawn_and_echoed(night: Any) -> None:
    """A request without a seed gets one from the model; one with a seed gets its own."""

    async def story(gateway: Any) -> Any:
        drawn = await gateway.ended(await gateway.accepted())
        own = await gateway.ended(await gateway.accepted(metadata={"seed": 4242, "duration": 1}))
        return (
            drawn["data"]["seed"],
            own["data"]["seed"],
            [charge["seed"] for charge in await gateway.charges()],
        )

    drawn, own, sent = night(story)
    assert isinstance(drawn, int)
    assert (own, sent) == (4242, [None, 4242])
