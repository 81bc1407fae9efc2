"""Every field of the gateway's document: in the schema, checked, sent where it belongs, with an example."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from batchrunner.core.errors import ManifestError
from batchrunner.gateway import encode
from batchrunner.manifest import load_manifest
from batchrunner.manifest.nodes import plain
from batchrunner.manifest.reporting import Report
from batchrunner.manifest.schema import schema
from batchrunner.manifest.source import Source
from batchrunner.manifest.yaml_reader import read_yaml
from batchrunner.media.local_files import data_uri

ROOT = Path(__file__).parents[3]
PNG = (ROOT / "tests" / "data" / "valid" / "media" / "dot.png").read_bytes()
PNG_URI = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
URL = "https://example.com/a"


class Field(NamedTuple):
    """One field of the document, and what becomes of it."""

    path: str
    """As in the document; `content` stands for one of its items."""
    given: Any
    """A value that is accepted."""
    sent: dict[str, Any]
    """What stands in the body for it, by path."""
    wrong: Any
    """A value that is not."""
    told: str
    """What is said of it."""
    beside: Mapping[str, Any] = MappingProxyType({})
    """What it needs beside it in its item."""
    refused_by_model: bool = False
    """Whether there can be no example that runs."""


def at(path: str) -> dict[str, Any]:
    """A field that is sent as it is given."""
    return {path: ...}


FIELDS = [
    Field("model", "dreamina-seedance-2-0", at("model"), "", '`model` can\'t be ""'),
    Field("prompt", "一只猫在月球表面漫步", at("prompt"), " ", "`prompt` is empty"),
    Field("image", "dot.png", {"image": PNG_URI}, "none.png", "`image`: file not found: none.png"),
    Field("images", [f"{URL}.png"], at("images"), f"{URL}.png", "`images` must be a list"),
    Field(
        "duration",
        10,
        {"duration": 10, "seconds": "10", "metadata.duration": 10},
        "10",
        "`duration` must be a whole number",
    ),
    Field(
        "seconds",
        "10",
        {"duration": 10, "seconds": "10", "metadata.duration": 10},
        "10s",
        "`seconds` must be only digits",
    ),
    Field("metadata", {"seed": 1}, at("metadata.seed"), [1], "`metadata` must be a mapping"),
    Field("metadata.resolution", "1080p", at("metadata.resolution"), "720", "did you mean 720p?"),
    Field("metadata.ratio", "21:9", at("metadata.ratio"), "16:10", '`metadata.ratio` can\'t be "16:10"'),
    Field(
        "metadata.duration",
        -1,
        {"metadata.duration": -1, "duration": None, "seconds": None},
        7.5,
        "`metadata.duration` must be a whole number",
    ),
    Field(
        "metadata.frames",
        121,
        {"metadata.frames": 121, "metadata.duration": None, "duration": None, "seconds": None},
        0,
        "`metadata.frames` must be at least 1",
        refused_by_model=True,
    ),
    Field("metadata.seed", 42, at("metadata.seed"), -1, "`metadata.seed` must be at least 0"),
    Field(
        "metadata.camera_fixed",
        True,
        at("metadata.camera_fixed"),
        "yes",
        "must be true or false",
        refused_by_model=True,
    ),
    Field("metadata.watermark", True, at("metadata.watermark"), 1, "must be true or false"),
    Field("metadata.service_tier", "default", at("metadata.service_tier"), "flex", "auto, default, priority"),
    Field(
        "metadata.execution_expires_after",
        86400,
        at("metadata.execution_expires_after"),
        "1d",
        "must be a whole number",
    ),
    Field("metadata.generate_audio", False, at("metadata.generate_audio"), "no", "must be true or false"),
    Field("metadata.draft", True, at("metadata.draft"), "x", "must be true or false", refused_by_model=True),
    Field("metadata.return_last_frame", True, at("metadata.return_last_frame"), 0, "must be true or false"),
    Field(
        "metadata.callback_url",
        URL,
        at("metadata.callback_url"),
        "example.com",
        "must be an http or https URL",
        refused_by_model=True,  # it works, but it is warned of, and nobody should copy it
    ),
    Field(
        "metadata.content",
        [{"type": "video_url", "video_url": {"url": f"{URL}.mp4"}}],
        at("metadata.content"),
        "x",
        "`metadata.content` must be a list",
    ),
    Field(
        "content.type",
        "video_url",
        {"content.type": "video_url"},
        "videourl",
        "did you mean video_url?",
        beside={"video_url": {"url": f"{URL}.mp4"}},
    ),
    Field(
        "content.role",
        "first_frame",
        {"content.role": "first_frame"},
        "frame",
        "write one of: first_frame",
        beside={"type": "image_url", "image_url": {"url": f"{URL}.png"}},
    ),
    Field(
        "content.text",
        "dropped by the gateway",
        {"content.text": "dropped by the gateway"},
        5,
        "must be text, not 5",
        beside={"type": "text"},
        refused_by_model=True,
    ),
    Field(
        "content.image_url",
        {"url": "dot.png"},
        {"content.image_url": {"url": PNG_URI}},
        {"url": "none.png"},
        "file not found: none.png",
        beside={"type": "image_url"},
    ),
    Field(
        "content.video_url",
        {"url": f"{URL}.mp4"},
        {"content.video_url": {"url": f"{URL}.mp4"}},
        {"url": "a.mp4"},
        "a video must be given as an https URL or an asset:// id, not as a local file",
        beside={"type": "video_url"},
    ),
    Field(
        "content.audio_url",
        {"url": f"{URL}.mp3"},
        {"content.audio_url": {"url": f"{URL}.mp3"}},
        {"url": "data:audio/ogg;base64,T2dnUwACAAAAAAAA"},
        "is not a supported audio file",
        beside={"type": "audio_url"},
    ),
]
IDS = [field.path for field in FIELDS]


def manifest(folder: Path, field: Field, value: object) -> Path:
    """A manifest whose one task has a value in a field."""
    task: dict[str, Any] = {"model": "dreamina-seedance-2-0", "prompt": "A cat"}
    *parents, name = field.path.split(".")
    if parents == ["content"]:
        item = {**field.beside, name: value}
        others = [{"type": "image_url", "role": "reference_image", "image_url": {"url": f"{URL}.png"}}]
        task["metadata"] = {"content": [item, *(others if item.get("type") == "audio_url" else [])]}
    elif parents:
        task["metadata"] = {name: value}
    else:
        task[name] = value
    (folder / "dot.png").write_bytes(PNG)
    path = folder / "m.yaml"
    path.write_text(json.dumps({"version": 1, "tasks": [task]}), encoding="utf-8")
    return path


def found(body: Any, path: str) -> Any:
    """What stands in a body at a path; None where nothing does."""
    for key in path.split("."):
        body = body["metadata"]["content"][0] if key == "content" and "metadata" in body else body.get(key)
        if body is None:
            return None
    return body


@pytest.mark.parametrize("field", FIELDS, ids=IDS)
def test_a_field_is_sent_where_it_belongs(field: Field, tmp_path: Path) -> None:
    """With the value and the type that it was given; a length in every place where a gateway looks for it."""
    (task,) = load_manifest(manifest(tmp_path, field, field.given)).plan.tasks
    metadata = task.request["metadata"]
    seed = metadata.get("seed") if isinstance(metadata, dict) else None
    body = json.loads(encode(task.request, data_uri).with_seed(seed if isinstance(seed, int) else None))
    for path, value in field.sent.items():
        expected = field.given.get("seed") if field.path == "metadata" else field.given
        assert repr(found(body, path)) == repr(expected if value is ... else value)


@pytest.mark.parametrize("field", FIELDS, ids=IDS)
def test_a_wrong_value_is_reported_at_its_place(field: Field, tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(ManifestError) as caught:
        load_manifest(manifest(tmp_path, field, field.wrong))
    assert any(field.told in f"{problem.message}; {problem.hint}" for problem in caught.value.problems)


def test_all_fields_of_the_document_are_in_this_list() -> None:
    """The list and the schema have the same fields."""
    task = schema("task")
    parts = {"": task, "metadata.": task["$defs"]["metadata"], "content.": task["$defs"]["content_item"]}
    assert set(IDS) == {f"{prefix}{name}" for prefix, part in parts.items() for name in part["properties"]}


@pytest.mark.parametrize("field", FIELDS, ids=IDS)
def test_a_field_is_shown_in_an_example(field: Field) -> None:
    """In a manifest that runs; of what the model refuses, in one of the tests' own."""
    folder = ROOT / ("tests/data/valid" if field.refused_by_model else "manifests")
    assert examples(field, folder)


def examples(field: Field, folder: Path) -> list[str]:
    """The manifests in a folder that use a field."""
    names = []
    for path in sorted(folder.glob("*.yaml")):
        root = read_yaml(Source("", path.read_text(encoding="utf-8-sig"), is_yaml=True), Report())
        assert root is not None
        value: Any = plain(root)
        parts = [value.get("defaults") or {}, *value["tasks"]]
        if any(field.path in used(part) for part in parts):
            names.append(path.name)
    return names


def used(task: dict[str, Any]) -> Iterator[str]:
    """The fields of the document that a task uses."""
    yield from task
    yield from (key for key in task.get("matrix", {}) if "." in key)
    metadata = task.get("metadata") or {}
    yield from (f"metadata.{name}" for name in metadata)
    yield from (f"content.{name}" for item in metadata.get("content", []) for name in item)
