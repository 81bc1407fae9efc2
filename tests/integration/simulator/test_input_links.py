"""The model reads the links in a request itself: without a key, and when the generation begins."""

from typing import Any

import pytest

LOST = ("FAILURE", "InvalidParameter")


def content(kind: str, url: str) -> dict[str, Any]:
    """Settings of a small task with one reference, in `metadata`."""
    role = {"image_url": "reference_image", "video_url": "reference_video"}[kind]
    item = {"type": kind, "role": role, kind: {"url": url}}
    return {"resolution": "480p", "duration": 4, "content": [item]}


async def source(gateway: Any, **metadata: Any) -> tuple[str, str, str]:
    """A finished task: its ID, and the links to its video and its last frame."""
    settings = {"resolution": "480p", "duration": 5, "return_last_frame": True, **metadata}
    remote_id = await gateway.accepted(metadata=settings)
    made = (await gateway.ended(remote_id))["data"]["content"]
    return remote_id, made["video_url"], made["last_frame_url"]


async def fate(gateway: Any, metadata: dict[str, Any], **request: Any) -> tuple[Any, ...]:
    """How a request that is accepted ends: status, and the upstream's code."""
    task = await gateway.ended(await gateway.accepted(metadata=metadata, **request))
    return task["status"], task["data"].get("error", {}).get("code")


def test_the_model_reads_the_links_of_finished_tasks(night: Any) -> None:
    """A video and a last frame, as reference, in `image`, or in `images`."""

    async def story(gateway: Any) -> Any:
        _, video, frame = await source(gateway)
        return [
            await fate(gateway, content("video_url", video)),
            await fate(gateway, content("image_url", frame)),
            await fate(gateway, {"resolution": "480p"}, image=frame),
            await fate(gateway, {"resolution": "480p"}, images=[frame]),
            await fate(gateway, {"resolution": "480p"}, image=frame.replace("127.0.0.1", "localhost")),
        ]

    assert night(story) == [("SUCCESS", None)] * 5


@pytest.mark.parametrize("kind", ["image_url", "video_url"])
@pytest.mark.parametrize(
    "broken",
    [
        lambda url: url.partition("?")[0],
        lambda url: url[:-1] + ("a" if url[-1] != "a" else "b"),
        lambda url: url.replace("/files/cgt-", "/files/cgt-0"),
        lambda url: url.replace("/files/", "/other/"),
    ],
    ids=["unsigned", "wrongly signed", "unknown", "elsewhere"],
)
def test_a_link_that_the_file_server_refuses_fails_the_generation(night: Any, kind: str, broken: Any) -> None:
    """The submission is accepted; the task fails as soon as it runs, with a reason, and is refunded."""

    async def story(gateway: Any) -> Any:
        _, video, frame = await source(gateway)
        url = broken(video if kind == "video_url" else frame)
        remote_id = await gateway.accepted(metadata=content(kind, url))
        task = await gateway.ended(remote_id)
        openai = (await gateway.call("GET", f"/v1/videos/{remote_id}")).json
        return task, openai, (await gateway.charges())[-1]

    task, openai, charge = night(story, generation_seconds=1000, line_seconds=0)
    word = kind.removesuffix("_url")
    assert (task["status"], task["data"]["status"]) == ("FAILURE", "failed")
    assert task["fail_reason"].startswith(f"Error while downloading {word}, error: status code 40")
    assert task["data"]["error"] == {"code": "InvalidParameter", "message": task["fail_reason"]}
    assert openai["error"] == {"message": task["fail_reason"], "code": "InvalidParameter"}
    assert (task["quota"], charge["quota"], charge["outcome"]) == (0, 0, "failed")
    assert charge["life"]["ending"] == "unreadable"
    life = charge["life"]
    assert life["ended_at"] - life["running_at"] < 0.01, "a generation would have taken 1 s"


def test_a_link_dies_of_age_before_the_generation_begins(night: Any) -> None:
    """It counts when the model reads it, not when it is submitted; a video once made stays."""

    async def story(gateway: Any) -> Any:
        _, video, _ = await source(gateway)
        young = await gateway.accepted(metadata=content("video_url", video))
        gateway.clock.later(60)
        still_alive = (await gateway.call("GET", video, None)).status
        queued = await gateway.accepted(metadata=content("video_url", video))
        gateway.clock.later(45)
        dead = (await gateway.call("GET", video, None)).status
        late = await gateway.accepted(metadata=content("video_url", video))
        ends = [(await gateway.ended(remote_id))["status"] for remote_id in (young, queued, late)]
        return still_alive, dead, ends

    assert night(story, link_seconds=100, queue_seconds=42) == (200, 403, ["SUCCESS", "FAILURE", "FAILURE"])


def test_content_needs_a_key_that_the_model_does_not_have(night: Any) -> None:
    """The gateway's own addresses are of no use as inputs."""

    async def story(gateway: Any) -> Any:
        remote_id, _, _ = await source(gateway)
        url = f"{gateway.sim.url}/v1/videos/{remote_id}/content"
        task = await gateway.ended(await gateway.accepted(metadata=content("video_url", url)))
        frame = await fate(gateway, {"resolution": "480p"}, image=url)
        return task["fail_reason"], frame

    assert night(story) == ("Error while downloading video, error: status code 401", LOST)


def test_a_video_is_no_picture(night: Any) -> None:
    """A link to a file of the other kind can't be read."""

    async def story(gateway: Any) -> Any:
        _, video, frame = await source(gateway)
        return [await fate(gateway, content("video_url", frame)), await fate(gateway, {}, image=video)]

    assert night(story) == [LOST, LOST]


def test_links_elsewhere_are_accepted(night: Any) -> None:
    """Nothing is requested from other hosts, or from what looks like a link."""

    async def story(gateway: Any) -> Any:
        urls = (
            "https://example.com/a.mp4",
            "http://127.0.0.1:1/files/a.mp4?x",
            "asset://asset-1",
            "http://[",
        )
        return [await fate(gateway, content("video_url", url)) for url in urls]

    assert night(story) == [("SUCCESS", None)] * 4


def test_an_input_of_any_form_ends_in_a_video(night: Any) -> None:
    """What the model can't make sense of is ignored, unless the scenario is strict."""

    async def story(gateway: Any) -> Any:
        _, video, _ = await source(gateway)
        inputs = [
            {"type": "image_url", "image_url": {"url": {"sha256": "../simulator"}}},
            {"type": "image_url", "image_url": {"url": 5}, "role": ["first_frame"]},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            {"type": "image_url", "image_url": {"url": "x" * 5000}},
            {"type": "image_url"},
            {"type": None, "None": {"url": "http://127.0.0.1/"}},
        ]
        for item in inputs:
            remote_id = await gateway.accepted(metadata={"resolution": "480p", "content": [item]})
            assert (await gateway.ended(remote_id))["status"] == "SUCCESS"
            assert (await gateway.content(remote_id)).status == 200
        odd = {"resolution": "480p", "content": [{"type": ["x"], "['x']": {"url": video}}]}
        return await fate(gateway, odd)

    assert night(story) == LOST


def test_a_task_that_is_gone_cannot_be_continued(night: Any) -> None:
    """Its file is gone, so the model can't read it either."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted("ark:gone")
        url = (await gateway.ended(remote_id))["result_url"]
        return await fate(gateway, content("video_url", url))

    assert night(story) == LOST


@pytest.mark.parametrize(
    ("length", "frames"),
    [
        (1, 24 * 5 + 24 * 1 + 1),  # what was sent and what was made
        (2, 24 * (5 + 2) + 1),
        (8, 24 * 14 + 1),  # at least 5/3 of what was made: 13⅓ s, in whole seconds
        (12, 24 * 20 + 1),
    ],
)
def test_input_videos_are_billed(night: Any, length: int, frames: int) -> None:
    """Their real length counts, and at least 5/3 of the video's own."""

    async def story(gateway: Any) -> Any:
        _, video, _ = await source(gateway)
        metadata = content("video_url", video) | {"duration": length}
        task = await gateway.ended(await gateway.accepted(metadata=metadata))
        charge = (await gateway.charges())[-1]
        return task["data"]["usage"]["total_tokens"], charge["tokens"], charge["quota"]

    tokens = frames * 864 * 496 // 1024
    assert night(story) == (tokens, tokens, tokens * 2800 // 1000)


def test_several_input_videos_are_billed_together(night: Any) -> None:
    """Each counts; one elsewhere has no known length, and only makes the least amount apply."""

    async def story(gateway: Any) -> Any:
        _, video, _ = await source(gateway)
        both = content("video_url", video)
        both["content"] *= 2
        elsewhere = content("video_url", "https://example.com/a.mp4")
        for metadata in (both, elsewhere, content("image_url", "https://example.com/a.jpg")):
            await gateway.accepted(metadata=metadata)
        return [charge["tokens"] for charge in (await gateway.charges())[1:]]

    seconds = [5 + 5 + 4, 7, 4]
    assert night(story) == [(24 * one + 1) * 864 * 496 // 1024 for one in seconds]
