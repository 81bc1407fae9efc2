"""Identity: what is, and what is not, in a task's fingerprint."""

import hashlib
from typing import Any

import pytest

from batchrunner.core.model import MediaFile, TaskKey
from batchrunner.core.plan import file_name, folded, id_fault, id_part, made_up_id
from batchrunner.core.request import canonical, digest_form, fingerprint, normalise
from tests.harness.plans import plan_tasks, wanted_task

CAT = MediaFile(path="/photos/cat.jpg", shown="cat.jpg", sha256="0" * 64, mime="image/jpeg", size=5)

GOLDEN: dict[str, tuple[dict[str, Any], str]] = {
    "text": (
        {"model": "dreamina-seedance-2-0-fast", "prompt": "一只猫在月球表面漫步"},
        "1-87c602e08d6e57abb01b8321e55067aa018b13ed902915be7473dc66f6a03b1f",
    ),
    "settings": (
        {
            "model": "dreamina-seedance-2-0",
            "prompt": "A cat",
            "duration": 10,
            "metadata": {"resolution": "720p", "ratio": "16:9", "seed": 42, "watermark": False},
        },
        "1-e7530c77a13466b3e45636f1e7394f1f497d8ba4812e91b6740102380e69f8c5",
    ),
    "automatic length": (
        {"model": "dreamina-seedance-2-0", "prompt": "A cat", "metadata": {"duration": -1}},
        "1-b54f5f56114621d302fc3990e070b9c9f576c40cc96a41440a086584f1971c69",
    ),
    "frames": (
        {"model": "dreamina-seedance-2-0", "prompt": "A cat", "metadata": {"frames": 121}},
        "1-55b0d9bc27a9ee4cc1309e64c0f625d3282a4a572c5e69594cc3be1a11db78d0",
    ),
    "local picture": (
        {"model": "dreamina-seedance-2-0", "prompt": "A cat", "image": CAT},
        "1-62202eac0b1bec1c3220eba5c8eef1508ff8109ae0d89c12038b0802de25e1e7",
    ),
    "video": (
        {
            "model": "dreamina-seedance-2-0",
            "prompt": "A cat",
            "metadata": {
                "content": [{"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}}]
            },
        },
        "1-e75bce7696507823a1872ab3919fd10d7accdb093c0a33f2f41cf708a526dd83",
    ),
    "data URI": (
        {"model": "dreamina-seedance-2-0", "prompt": "A cat", "image": "data:image/png;base64,iVBORw0KGgo="},
        "1-7a25095512f87845375378d64740449a00a2d246ca3579d5bafaed2bdd6dd887",
    ),
}


def request(**fields: Any) -> dict[str, Any]:
    """A small whole request, with some fields changed."""
    return {"model": "dreamina-seedance-2-0", "prompt": "A cat", **fields}


def key(**fields: Any) -> TaskKey:
    """The fingerprint of a small request with some fields changed."""
    return fingerprint(normalise(request(**fields)))


@pytest.mark.parametrize("name", GOLDEN)
def test_fingerprints_never_change(name: str) -> None:
    """A fingerprint that changed would make everybody pay again."""
    given, expected = GOLDEN[name]
    assert fingerprint(normalise(given)) == expected


def test_the_second_of_two_equal_requests_has_its_own_key() -> None:
    """A replica's fingerprint is fixed too."""
    given, first = GOLDEN["text"]
    keys = [task.key for task in plan_tasks([wanted_task(given), wanted_task(given)])]
    assert keys == [first, "1-ba6a191344f19d97af32319dc46bf3ad3cb18c27c9c2af995da18d5a33838a35"]


def test_a_fingerprint_is_the_hash_of_sorted_json() -> None:
    """What is hashed is written down here, so that it can be computed by hand."""
    text = '{"metadata":{"duration":5,"seed":1},"model":"m","prompt":"猫"}'
    body = normalise({"prompt": "猫", "model": "m", "metadata": {"seed": 1}})
    assert canonical(body) == text
    assert fingerprint(body) == f"1-{hashlib.sha256(text.encode()).hexdigest()}"


def test_fields_that_do_not_change_the_video_do_not_change_the_key() -> None:
    """Order, id, labels, source, callback and expiry are not in it."""
    first, second = wanted_task(request(), "a", '{"x": "1"}', "m:1"), wanted_task(request(prompt="A dog"))
    tasks = plan_tasks([first, second])
    other = wanted_task(
        {"metadata": {"callback_url": "https://example.com", "execution_expires_after": 3600}, **request()},
        "renamed",
        source="m:9",
    )
    again = plan_tasks([second, other])
    assert [task.key for task in tasks] == [task.key for task in again][::-1]


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "A cat."},
        {"model": "dreamina-seedance-2-0-fast"},
        {"duration": 6},
        {"image": CAT},
        {"metadata": {"seed": 1}},
        {"metadata": {"seed": 0}},
        {"metadata": {"generate_audio": False}},
    ],
)
def test_fields_that_change_the_video_change_the_key(fields: dict[str, Any]) -> None:
    """One changed field is a new task."""
    assert key(**fields) != key()


def test_a_file_counts_by_its_content() -> None:
    """Moving or renaming a picture costs nothing; another picture is another task."""
    moved = MediaFile("/elsewhere/tom.png", "tom.png", CAT.sha256, "image/png", 5)
    other = MediaFile(CAT.path, CAT.shown, "1" * 64, CAT.mime, CAT.size)
    assert key(image=moved) == key(image=CAT)
    assert key(image=other) != key(image=CAT)


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ({}, 5),
        ({"duration": 0}, 5),
        ({"duration": 7}, 7),
        ({"seconds": "7"}, 7),
        ({"metadata": {"duration": 7}}, 7),
        ({"duration": 7, "seconds": "7", "metadata": {"duration": 7}}, 7),
        ({"duration": 7, "metadata": {"duration": 9}}, 7),
        ({"duration": 0, "seconds": "7"}, 7),
        ({"duration": -1}, -1),
        ({"metadata": {"duration": -1}}, -1),
    ],
)
def test_a_length_is_one_thing_however_it_is_written(fields: dict[str, Any], length: int) -> None:
    """The three ways to give a length are equal, and none means 5."""
    assert normalise(request(**fields)) == request(metadata={"duration": length})


def test_frames_replace_the_duration() -> None:
    """With `frames` there is no duration."""
    assert normalise(request(metadata={"frames": 121}))["metadata"] == {"frames": 121}


def test_a_value_of_none_counts_as_absent() -> None:
    """A value of None leaves no trace."""
    assert key(image=None, metadata={"seed": None}) == key()


@pytest.mark.parametrize("good", ["a", "moon-cat", "一只猫", "a.b", "A cat 2", "${sku}", "x" * 120])
def test_an_id_may_be_what_can_name_a_file(good: str) -> None:
    """Most texts make an id."""
    assert id_fault(good) == ""


@pytest.mark.parametrize(
    "bad",
    ["", " a", "a ", ".a", "-a", "a.", "a/b", "a\\b", "a:b", "a\nb", "NUL", "com1.x", "x" * 121, "\u202ea"],
)
def test_an_id_may_not_be_what_can_not(bad: str) -> None:
    """What some file system refuses or hides is refused."""
    assert id_fault(bad)


def test_a_made_up_id_is_itself_an_id() -> None:
    """Whatever the prompt, the id made from it can name a file."""
    for prompt in ("", "A cat, asleep!", "../../etc/passwd", "猫" * 200, "CON", "\u202e\n\t"):
        task_id = made_up_id(prompt, key(prompt=prompt))
        assert id_fault(task_id) == ""
        assert task_id.endswith(key(prompt=prompt).partition("-")[2][:8])


def test_no_two_videos_get_one_name() -> None:
    """A name that was given away, in any spelling, is not given again."""
    first = file_name("Cat", key(), set())
    second = file_name("cat", key(prompt="x"), {folded(first)})
    assert first == "videos/Cat.mp4"
    assert second.startswith("videos/cat-")
    assert folded(second) not in {folded(first)}


def test_a_name_is_found_whatever_is_on_disk() -> None:
    """Files that somebody put there are no reason to stop."""
    taken = {folded(file_name("cat", key(), set()))}
    for _ in range(4):
        name = file_name("cat", key(), taken)
        assert folded(name) not in taken
        taken.add(folded(name))


def test_only_an_input_is_known_by_its_hash() -> None:
    """A prompt that begins like a data URI is a prompt."""
    uri = "data:image/png;base64,iVBO"
    content = [{"type": "image_url", "text": uri, "image_url": {"url": uri}}]
    request = {"prompt": uri, "image": uri, "images": [uri], "metadata": {"content": content}}
    digest = {"data_uri_sha256": hashlib.sha256(uri.encode()).hexdigest()}
    assert digest_form(request) == {
        "prompt": uri,
        "image": digest,
        "images": [digest],
        "metadata": {"content": [{"type": "image_url", "text": uri, "image_url": {"url": digest}}]},
    }


def test_frames_and_no_duration_are_frames() -> None:
    """0 says nothing."""
    assert key(metadata={"frames": 121, "duration": 0}) == key(metadata={"frames": 121})


def test_a_text_is_made_fit_for_an_id() -> None:
    """A ratio stays readable."""
    assert [id_part(text) for text in ("16:9", "a: b/c", "猫")] == ["16x9", "a- b-c", "猫"]
