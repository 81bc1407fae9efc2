"""Which inputs of a request other tasks make."""

from typing import Any

import pytest

from batchrunner.core.model import Part
from batchrunner.core.needs import Need, beginnings, needs_in

FRAME = {"task": "1-aa", "part": "last_frame"}
VIDEO = {"task": "1-bb", "part": "video"}


def content(*items: dict[str, Any]) -> dict[str, Any]:
    """A request with these items in `metadata.content`."""
    return {"prompt": "x", "metadata": {"duration": 5, "content": list(items)}}


def test_every_place_of_an_input_is_read() -> None:
    """A need may stand wherever the API takes a URL; each one has its path, in the order of the inputs."""
    assert needs_in({"prompt": "x", "image": FRAME}) == (Need(("image",), "1-aa", Part.LAST_FRAME),)
    assert needs_in({"images": ["https://a.example/b.png", FRAME]}) == (
        Need(("images", 1), "1-aa", Part.LAST_FRAME),
    )
    request = content(
        {"type": "video_url", "video_url": {"url": VIDEO}, "role": "reference_video"},
        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}, "role": "first_frame"},
        {"type": "image_url", "image_url": {"url": FRAME}, "role": "last_frame"},
    )
    assert needs_in(request) == (
        Need(("metadata", "content", 0, "video_url", "url"), "1-bb", Part.VIDEO),
        Need(("metadata", "content", 2, "image_url", "url"), "1-aa", Part.LAST_FRAME),
    )


@pytest.mark.parametrize(
    "request_",
    [
        {"prompt": "x"},
        {"prompt": "x", "metadata": None},
        {"image": "https://a.example/b.png"},
        {"image": {"sha256": "ab"}},
        {"image": {"task": "1-aa"}},
        {"image": {"task": "1-aa", "part": "audio"}},
        {"image": {"task": 5, "part": "video"}},
        content({"type": "image_url", "image_url": {"url": {"sha256": "ab"}}}),
    ],
)
def test_other_inputs_need_nothing(request_: dict[str, Any]) -> None:
    """URLs, local files and anything else are no needs."""
    assert needs_in(request_) == ()


def test_the_beginning_of_a_chain_is_that_of_all_its_tasks() -> None:
    """Also through others, in any order; a task that needs two chains makes them one."""

    def needing(*keys: str) -> dict[str, Any]:
        return {"images": [{"task": key, "part": "last_frame"} for key in keys]}

    requests = [("c", needing("b", "x")), ("b", needing("a")), ("d", needing("c")), ("a", {"prompt": "x"})]
    assert beginnings(requests) == dict.fromkeys("bcdx", "a")
    assert beginnings(reversed(requests)) == dict.fromkeys("bcdx", "a")
    long = [(str(number), needing(str(number - 1))) for number in range(1, 5000)]
    assert set(beginnings(reversed(long)).values()) == {"0"}
