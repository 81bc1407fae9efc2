"""The schemas: whole, described, in agreement with each other and with the figures, and never fetched."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchrunner.manifest import schema_text
from batchrunner.manifest.limits_file import load_limits
from batchrunner.manifest.schema import MULTIPLYING, SchemaName
from batchrunner.manifest.validation import check, is_seed

TASK: dict[str, Any] = json.loads(schema_text("task"))
MANIFEST: dict[str, Any] = json.loads(schema_text("manifest"))
MODELS: dict[str, Any] = json.loads(schema_text("models"))

SCHEMAS: tuple[SchemaName, ...] = ("task", "manifest", "models")

DOCUMENT = {
    (): "model prompt image images duration seconds metadata",
    ("metadata",): "resolution ratio duration frames seed camera_fixed watermark service_tier "
    "execution_expires_after generate_audio draft return_last_frame callback_url content",
    ("content_item",): "type role text image_url video_url audio_url",
}
"""Every field of the API document."""


def fields(part: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of a schema with its path."""
    if isinstance(part, dict):
        for name, inner in part.get("properties", {}).items():
            if isinstance(inner, dict) and set(inner) != {"const"}:
                yield f"{path}/{name}", inner
        for name, inner in part.items():
            yield from fields(inner, f"{path}/{name}")


def described(field: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    """A field with what it refers to, also as the first of two branches."""
    first = field["anyOf"][0] if "$ref" in field.get("anyOf", [{}])[0] else field
    reference = str(first.get("$ref", ""))
    if not reference:
        return field
    found = root = TASK if reference.startswith("task.schema.json#/") else root
    reference = reference.removeprefix("task.schema.json")
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return {**described(found, root), **field}


@pytest.mark.parametrize("schema", [TASK, MANIFEST, MODELS], ids=["task", "manifest", "models"])
def test_every_schema_is_a_valid_json_schema(schema: dict[str, Any]) -> None:
    """All are valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("schema", [TASK, MANIFEST, MODELS], ids=["task", "manifest", "models"])
def test_every_field_is_explained(schema: dict[str, Any]) -> None:
    """An editor has something to say about each field."""
    for path, field in fields(schema):
        whole = described(field, schema)
        assert whole.get("description"), path
        assert whole.get("examples") or whole.get("type") == "object", path


@pytest.mark.parametrize("schema", [TASK, MANIFEST], ids=["task", "manifest"])
def test_every_choice_is_explained(schema: dict[str, Any]) -> None:
    """An editor says of each word of a list what it means."""

    def lists(part: object) -> Iterator[dict[str, Any]]:
        if isinstance(part, dict) and isinstance(part.get("enum"), list):
            yield part
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from lists(inner)

    found = list(lists(schema))
    assert found
    for each in found:
        assert len(each["enumDescriptions"]) == len(each["enum"]), each["enum"]
        assert all(each["enumDescriptions"])


def test_every_field_of_the_document_is_there() -> None:
    """Nothing that the API offers is missing, and nothing else is in."""
    for path, names in DOCUMENT.items():
        part = TASK["$defs"][path[0]] if path else TASK
        assert set(part["properties"]) == set(names.split())


def test_an_entry_takes_what_a_request_takes() -> None:
    """The manifest's schema lists each field of the request, with the same words, and some of its own."""
    entry, defs = MANIFEST["$defs"]["entry"]["properties"], MANIFEST["$defs"]
    assert set(entry) == set(TASK["properties"]) | {"id", "labels", "prompt_file", *MULTIPLYING}
    assert set(defs["defaults"]["properties"]) == set(entry) - {"id", *MULTIPLYING}
    assert set(defs["metadata"]["properties"]) == set(TASK["$defs"]["metadata"]["properties"])
    assert set(defs["content_item"]["properties"]) == set(TASK["$defs"]["content_item"]["properties"])
    for here, there in ((entry, TASK), (defs["metadata"]["properties"], TASK["$defs"]["metadata"])):
        for name, field in there["properties"].items():
            words = described(field, TASK)["description"]
            assert described(here[name], MANIFEST)["description"] == words


def test_references_stay_among_the_files() -> None:
    """An editor finds them beside the file, and nothing is fetched from anywhere."""
    for text in map(schema_text, SCHEMAS):
        for reference in (
            line.split('"')[3] for line in text.replace("{", "\n").splitlines() if '"$ref"' in line
        ):
            assert reference.startswith(("#/", "task.schema.json#/"))
        assert "$id" not in json.loads(text)


def test_examples_pass_their_own_schema() -> None:
    """What an editor offers is accepted."""
    for name, field in MANIFEST["$defs"]["entry"]["properties"].items():
        for example in described(field, MANIFEST).get("examples", []):
            assert list(check("entry", {name: example})) == []
    for name, field in MANIFEST["properties"].items():
        base: dict[str, Any] = {"version": 1, "tasks": [{}]}
        for example in described(field, MANIFEST)["examples"]:
            assert list(check("manifest", {**base, name: example})) == []


def test_examples_of_a_models_file_pass_its_schema() -> None:
    """What an editor offers is accepted there, too."""
    top = {"date": "2027-01-02", "source": "a test", "models": {"next": {"fps": 24}}}
    for name, field in MODELS["properties"].items():
        for example in field["examples"]:
            assert list(check("models", top | {name: example})) == []
    figures = MODELS["$defs"]["model"]["properties"]
    for fields_, path in ((figures, ()), (figures["inputs"]["properties"], ("inputs",))):
        for name, field in fields_.items():
            for example in field["examples"]:
                value: Any = {name: example}
                for key in path:
                    value = {key: value}
                assert list(check("models", top | {"models": {"next": value}})) == []


def test_schemas_and_limits_agree() -> None:
    """Models, resolutions, ratios and seeds are the same in both."""
    limits, metadata = load_limits(), TASK["$defs"]["metadata"]["properties"]
    assert TASK["properties"]["model"]["anyOf"][0]["enum"] == list(limits.models)
    words = {name: tuple(metadata[name]["anyOf"][0]["enum"]) for name in limits.words}
    assert words == limits.words
    for model in (limits.common, *limits.models.values()):
        assert words["resolution"] == tuple(model.sizes)
        assert model.default_resolution in model.resolutions
        for sizes in model.sizes.values():
            assert set(words["ratio"]) == set(sizes) | {"adaptive"}
    low, high = metadata["seed"]["minimum"], metadata["seed"]["maximum"]
    assert [is_seed(value) for value in (low - 1, low, high, high + 1, True)] == [
        False,
        True,
        True,
        False,
        False,
    ]


def numbers(part: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every field of a schema that takes a number within bounds, with its path."""
    for name, field in part.get("properties", {}).items() if isinstance(part, dict) else ():
        whole = described(field, TASK if part is TASK else MANIFEST)
        if "maximum" in whole:
            yield (*path, name), whole
        yield from numbers(field, (*path, name))


@pytest.mark.parametrize(
    ("path", "field"), [pytest.param(path, field, id=".".join(path)) for path, field in numbers(MANIFEST)]
)
def test_the_hint_for_a_number_fits_its_bounds(path: tuple[str, ...], field: dict[str, Any]) -> None:
    """Too large, too small or no number: what the hint says is taken."""
    least = field.get("minimum", field.get("exclusiveMinimum"))
    for wrong in (field["maximum"] + 1, least - 1, {}):
        value: Any = wrong
        for key in reversed(path):
            value = {key: value}
        (fault,) = check("manifest", {"version": 1, "tasks": [{}], **value})
        if "boundHint" in field or "typeHint" in field:
            assert fault.hint in (field["boundHint"], field.get("typeHint"))
        else:
            assert str(field["maximum"]) in fault.hint
            assert f"from {least} " in fault.hint or f"above {least}," in fault.hint


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ({"repeat": 10_001}, "write a number from 1 to 10000"),
        ({"duration": 3601}, "write 4 to 15, or -1 to let the model choose"),
        ({"metadata": {"seed": -1}}, "write a number from 0 to 2147483647"),
        ({"metadata": {"seed": "x"}}, "write a number from 0 to 2147483647, without quotes or unit"),
        ({"metadata": {"execution_expires_after": 0}}, "write 3600 to 259200, or delete it"),
    ],
)
def test_the_hint_for_a_number_of_a_task_fits_its_bounds(entry: dict[str, Any], hint: str) -> None:
    """What the hint says is what the model takes."""
    assert [fault.hint for fault in check("entry", entry)] == [hint]
