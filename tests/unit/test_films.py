"""Which shots make a film."""

from typing import Any

import pytest

from batchrunner.core.films import Shot, chains, continued, jumps, reason_not_made
from batchrunner.core.states import TaskState

FRAME = {"task": "1-aa", "part": "last_frame"}
VIDEO = {"task": "1-bb", "part": "video"}
PICTURE = "https://a.example/b.png"


def picture(url: Any, **more: str) -> dict[str, Any]:
    """A picture in `metadata.content`."""
    return {"type": "image_url", "image_url": {"url": url}, **more}


def content(*items: dict[str, Any]) -> dict[str, Any]:
    """A request with these items."""
    return {"prompt": "x", "metadata": {"content": list(items)}}


CLIP = {"type": "video_url", "video_url": {"url": VIDEO}, "role": "reference_video"}


@pytest.mark.parametrize(
    ("request_", "task"),
    [
        ({"image": FRAME}, "1-aa"),
        ({"images": [FRAME]}, "1-aa"),
        ({"images": [FRAME, PICTURE]}, None),
        ({"image": PICTURE}, None),
        (content(picture(FRAME)), "1-aa"),
        (content(picture(FRAME, role="first_frame")), "1-aa"),
        (content(picture(FRAME, role="last_frame")), None),
        (content(picture(FRAME, role="reference_image")), None),
        (content(CLIP), "1-bb"),
        (content(picture(FRAME, role="reference_image"), CLIP), "1-bb"),
        (content(picture(FRAME, role="first_frame"), CLIP), "1-aa"),
        (content(CLIP, picture(FRAME, role="first_frame")), "1-bb"),
        ({"prompt": "x"}, None),
    ],
)
def test_a_shot_continues_what_it_begins_with(request_: dict[str, Any], task: str | None) -> None:
    """The last frame as its first one, or the video; the first in the request, if there are several."""
    assert continued(request_) == task


def test_each_last_shot_makes_a_film_from_its_beginning() -> None:
    """Branches have their beginning in common; a shot alone is no film."""
    links: Any = {"b": "a", "c": "b", "d": "b", "y": "x"}
    assert chains(links, "abcdxy") == [("a", "b", "c"), ("a", "b", "d"), ("x", "y")]
    assert chains({}, "a") == []


def test_shots_that_nobody_wants_any_more_end_no_film() -> None:
    """They don't lengthen another one's film either; but a film may begin with one."""
    links: Any = {"b": "a", "c": "b", "y": "x"}
    assert chains(links, "b") == [("a", "b")]


@pytest.mark.parametrize("state", [state for state in TaskState if state is not TaskState.DONE])
def test_a_film_needs_every_shot(state: TaskState) -> None:
    """The first shot that isn't done is named."""
    shots: Any = {
        "a": Shot("a", "one", "done"),
        "b": Shot("b", "two", state, "X"),
        "c": Shot("c", "3", state),
    }
    assert reason_not_made(("a", "b", "c"), shots) == f"the shot two is not done: {state} (X)"
    assert reason_not_made(("a",), shots) == ""
    assert "not in this ledger" in reason_not_made(("z", "a"), shots)


def test_a_shot_made_before_the_one_that_it_continues_jumps() -> None:
    """It was made from an earlier version; what was made afterwards follows on."""
    shots: Any = [
        Shot("a", "one", "done", submitted_at=500, made_at=560),
        Shot("b", "two", "done", submitted_at=100, made_at=160),
        Shot("c", "three", "done", submitted_at=161, made_at=220),
    ]
    assert jumps(shots) == [("two", "one")]
    assert jumps(shots[1:]) == []
