"""Every fault of a download once: what the client meets."""

import asyncio
import io
from typing import Any

import aiohttp
import av
import pytest

from batchrunner.simulator.faults import FAULTS


def seconds_of(body: bytes) -> float:
    with av.open(io.BytesIO(body)) as container:
        return sum(1 for _ in container.decode(video=0)) / 24


DOWNLOADS: list[tuple[str, int, bytes]] = [
    ("html_200", 200, b"<!doctype html>"),
    ("json_200", 200, b'{"error":{"message":'),
    ("502", 502, b'{"error":{"message":"Failed to fetch video content","type":"server_error"}}'),
    ("404", 404, b'{"error":{"message":"Task not found","type":"invalid_request_error"}}'),
    ("not_ready", 400, b'{"error":{"message":"Task is not completed yet, current status: IN_PROGRESS"'),
]


@pytest.mark.parametrize(("fault", "status", "beginning"), DOWNLOADS)
def test_a_faulty_download_is_not_a_video(night: Any, fault: str, status: int, beginning: bytes) -> None:
    """The first download meets the fault, the second gets the file."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return await gateway.content(remote_id), await gateway.content(remote_id)

    reply, whole = night(story, faults=[{"on": "download", "do": fault, "first": 1}])
    assert (reply.status, reply.body[: len(beginning)]) == (status, beginning)
    assert (whole.status, whole.body[4:8]) == (200, b"ftyp")


def test_garbage_has_the_right_length(night: Any) -> None:
    """Random bytes, as many as the video has, the same whenever asked."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return [await gateway.content(remote_id) for _ in range(3)]

    one, two, whole = night(story, faults=[{"on": "download", "do": "garbage", "first": 2}])
    assert one.body == two.body != whole.body
    assert len(one.body) == len(whole.body)


def test_another_video_has_another_length(night: Any) -> None:
    """`other_video` is playable, and longer than asked."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        return await gateway.content(remote_id), await gateway.content(remote_id)

    other, whole = night(story, faults=[{"on": "download", "do": "other_video", "nth": 1}])
    assert round(seconds_of(other.body) - seconds_of(whole.body), 3) == 2


def test_a_hanging_download_is_reset_in_the_end(night: Any) -> None:
    """Nothing comes for so long, then the connection is reset."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        with pytest.raises(aiohttp.ClientConnectionError):
            await gateway.content(remote_id)

    night(story, faults=[{"on": "download", "do": "hang", "seconds": 20}])


@pytest.mark.parametrize(("prompt", "faults"), [("ark:short", []), ("x", [{"on": "download", "do": "cut"}])])
def test_a_cut_download_ends_half_way(night: Any, prompt: str, faults: list[Any]) -> None:
    """Half of what Content-Length promises, then the end."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted(prompt)
        await gateway.ended(remote_id)
        with pytest.raises(aiohttp.ClientPayloadError):
            await gateway.content(remote_id)

    night(story, faults=faults)


def test_a_chunked_download_ends_cleanly_whole_or_cut(night: Any) -> None:
    """ark:chunked has no length and is whole; cut_chunked is half of it, and looks as good."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted("ark:chunked")
        await gateway.ended(remote_id)
        return await gateway.content(remote_id), await gateway.content(remote_id)

    cut, whole = night(story, faults=[{"on": "download", "do": "cut_chunked", "first": 1}])
    for reply in (cut, whole):
        assert (reply.status, reply.headers["Transfer-Encoding"]) == (200, "chunked")
        assert "Content-Length" not in reply.headers
    assert cut.body == whole.body[: len(whole.body) // 2]
    assert seconds_of(whole.body) == 25 / 24


def test_a_slow_download_takes_its_time(night: Any) -> None:
    """The body comes in pieces over so many nominal seconds, and is whole."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        await gateway.ended(remote_id)
        begun = asyncio.get_running_loop().time()
        reply = await gateway.content(remote_id)
        return reply, asyncio.get_running_loop().time() - begun

    reply, took = night(story, faults=[{"on": "download", "do": "slow", "seconds": 100}])
    assert seconds_of(reply.body) == 25 / 24
    assert took >= 0.1


def test_a_download_fault_can_be_limited_to_the_link(night: Any) -> None:
    """`source: url` spares /content, and the other way round by default."""

    async def story(gateway: Any) -> Any:
        remote_id = await gateway.accepted()
        task = await gateway.ended(remote_id)
        link = await gateway.call("GET", task["result_url"], None)
        return link, await gateway.content(remote_id)

    link, content = night(story, faults=[{"on": "download", "do": "502", "source": "url"}])
    assert (link.status, content.status) == (502, 200)


@pytest.mark.parametrize(("prompt", "cut"), [("a cat", True), ("ark:chunked", False)])
def test_the_gateway_cuts_a_slow_download_at_its_ceiling(night: Any, prompt: str, cut: bool) -> None:
    """/content is cut at its ceiling, which without a length looks like a clean end; the link is not."""

    async def story(gateway: Any) -> Any:
        task = await gateway.ended(await gateway.accepted(prompt))
        path = f"{gateway.sim.url}/v1/videos/{task['task_id']}/content"
        link = await gateway.call("GET", task["result_url"], None)
        if cut:
            with pytest.raises(aiohttp.ClientPayloadError):
                await gateway.call("GET", path)
            return link.body, None
        return link.body, (await gateway.call("GET", path)).body

    rule = {"on": "download", "do": "slow", "seconds": 80, "source": "both"}
    whole, part = night(story, faults=[rule], content_seconds=60)
    assert seconds_of(whole) == 25 / 24
    assert part is None or part == whole[: len(whole) * 3 // 4]


def test_every_download_fault_has_a_test_here() -> None:
    """A fault that the simulator learns must be given its place in this file."""
    others = {"garbage", "other_video", "cut", "cut_chunked", "slow", "hang"}
    assert {fault for fault, *_ in DOWNLOADS} | others == set(FAULTS["download"])
