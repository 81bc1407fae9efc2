"""The videos are real, and the links to them behave like the recorded ones."""

import hashlib
import io
from typing import Any

import av
import pytest


def probe(body: bytes) -> tuple[str, int, int, int, float]:
    """Codec, width, height, decoded frames and seconds."""
    with av.open(io.BytesIO(body)) as container:
        stream = container.streams.video[0]
        seconds = float(stream.duration * stream.time_base)
        frames = sum(1 for _ in container.decode(stream))
        assert stream.average_rate == 24
        assert stream.pix_fmt == "yuv420p"
        return stream.codec_context.name, stream.width, stream.height, frames, round(seconds, 2)


def boxes(body: bytes) -> list[str]:
    """The top-level boxes, which must reach the file's end exactly."""
    found, at = [], 0
    while at < len(body):
        found.append(body[at + 4 : at + 8].decode())
        at += int.from_bytes(body[at : at + 4], "big")
    assert at == len(body)
    return found


@pytest.mark.parametrize(
    ("metadata", "shape"),
    [
        ({"resolution": "480p", "duration": 4}, ("h264", 864, 496, 97, 4.04)),
        ({"resolution": "720p", "ratio": "21:9", "duration": 1}, ("h264", 1470, 630, 25, 1.04)),
        ({"resolution": "1080p", "ratio": "3:4", "frames": 10}, ("h264", 1248, 1664, 10, 0.42)),
    ],
)
def test_a_video_is_as_asked(night: Any, metadata: dict[str, Any], shape: Any) -> None:
    """H.264 at 24 frames a second, of the size and the number of frames asked for."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(metadata=metadata)
        await gateway.ended(remote_id)
        return await gateway.content(remote_id)

    reply = night(story)
    assert probe(reply.body) == shape
    assert boxes(reply.body)[0] == "ftyp"
    assert {"moov", "mdat"} <= set(boxes(reply.body))
    assert int(reply.headers["Content-Length"]) == len(reply.body)
    assert reply.headers["Content-Type"] == "video/mp4"
    assert reply.headers["Cache-Control"] == "public, max-age=86400"


def test_each_task_has_its_own_bytes(night: Any) -> None:
    """No two tasks share a file, and one task's file never changes, Range or not."""

    async def story(gateway: Any) -> Any:
        ids = [await gateway.accepted() for _ in range(12)]
        for remote_id in ids:
            await gateway.ended(remote_id)
        files = [(await gateway.content(remote_id)).body for remote_id in ids]
        ranged = await gateway.content(ids[0], headers={"Range": "bytes=100-199"})
        assert (ranged.status, ranged.body) == (200, files[0])
        return files

    files = night(story)
    assert len({hashlib.sha256(body).digest() for body in files}) == len(files)
    pictures = {body[: body.rfind(b"free")] for body in files}
    assert len(pictures) > 2


def test_the_last_frame_is_that_of_the_video(night: Any) -> None:
    """return_last_frame adds a link to a JPEG of the video's last frame, with its label and the time."""

    async def story(gateway: Any) -> Any:
        metadata = {"resolution": "480p", "duration": 1, "return_last_frame": True}
        remote_id = await gateway.accepted(metadata=metadata)
        task = await gateway.ended(remote_id)
        link = task["data"]["content"]["last_frame_url"]
        return await gateway.call("GET", link, None), await gateway.content(remote_id)

    reply, video = night(story)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/jpeg")
    with av.open(io.BytesIO(reply.body)) as container:
        (picture,) = container.decode(video=0)
    with av.open(io.BytesIO(video.body)) as container:
        *_, before, last = container.decode(video=0)
    assert (picture.width, picture.height) == (864, 496)
    assert difference(picture, last) < 4 < difference(picture, before)


def difference(some: av.VideoFrame, other: av.VideoFrame) -> float:
    """How much two frames differ in brightness, on average, of 255."""
    pairs = list(zip(*(frame.to_image().convert("L").tobytes() for frame in (some, other)), strict=True))
    return sum(abs(one - another) for one, another in pairs) / len(pairs)


def test_the_link_serves_the_same_file_and_refuses_a_key(night: Any) -> None:
    """result_url is on another port, wants its signature, and no Authorization at all."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        url = (await gateway.ended(remote_id))["result_url"]
        return (
            url,
            await gateway.content(remote_id),
            await gateway.call("GET", url, None),
            await gateway.call("GET", url),
            await gateway.call("GET", url.partition("?")[0], None),
            await gateway.call("GET", gateway.sim.files_url + "/files/cgt-0.mp4", None),
            (await gateway.requests())["requests"],
        )

    url, content, link, with_key, unsigned, unknown, requests = night(story)
    assert link.body == content.body
    assert "X-Oneapi-Request-Id" not in link.headers
    assert [with_key.status, unsigned.status, unknown.status] == [403, 403, 404]
    assert requests["GET file server with Authorization"] == 1
    assert url.startswith("http://127.0.0.1:")


def test_links_expire(night: Any) -> None:
    """After its time the link is 403, and /content the recorded 502."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        url = (await gateway.ended(remote_id))["result_url"]
        assert (await gateway.call("GET", url, None)).status == 200
        gateway.clock.later(101)
        return await gateway.call("GET", url, None), await gateway.content(remote_id)

    link, content = night(story, link_seconds=100)
    error = {"error": {"message": "Upstream service returned status 403", "type": "server_error"}}
    assert link.status == 403
    assert (content.status, content.json) == (502, error)


def test_a_file_that_is_gone_is_a_502_or_404(night: Any) -> None:
    """ark:gone succeeds, and its file cannot be had."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted("ark:gone")
        task = await gateway.ended(remote_id)
        return task["status"], (await gateway.content(remote_id)).status

    assert night(story) == ("SUCCESS", 502)


def test_content_needs_a_key_and_an_ended_task(night: Any) -> None:
    """401 for an unknown key; 400 with the state's name before the end; another key of the user will do."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        early = await gateway.content(remote_id)
        await gateway.ended(remote_id)
        return (
            early,
            await gateway.content(remote_id, key="sk-bad"),
            await gateway.content(remote_id, key="sk-poor"),
        )

    early, unknown, other = night(story)
    assert early.json == {
        "error": {
            "message": "Task is not completed yet, current status: NOT_START",
            "type": "invalid_request_error",
        }
    }
    assert [early.status, unknown.status, other.status] == [400, 401, 200]
