"""Checks values against the JSON Schemas."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from batchrunner.manifest.messages import faults_of
from batchrunner.manifest.schema import SchemaName, schema
from batchrunner.manifest.value_faults import ValueFault

Part = Literal["manifest", "defaults", "entry", "task", "models"]
"""Parts that can be checked separately."""

_PARTS: Mapping[Part, str] = {
    "manifest": "manifest.schema.json",
    "defaults": "manifest.schema.json#/$defs/defaults",
    "entry": "manifest.schema.json#/$defs/entry",
    "task": "task.schema.json",
    "models": "models.schema.json",
}

_FILES: tuple[SchemaName, ...] = ("manifest", "task", "models")
_SEEDS = range(2**31)


def _pattern(validator: Any, pattern: str, instance: object, schema: object) -> Iterator[ValidationError]:
    """`pattern` as JSON Schema defines it: in Python, `$` also matches before a final line break."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


_Validator: type[Draft202012Validator] = extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


@cache
def _validator(part: Part) -> Draft202012Validator:
    # The files refer to each other by name: editors resolve that next to the file, the registry
    # resolves it here; nothing is ever fetched.
    named = ((f"{name}.schema.json", _resource(name)) for name in _FILES)
    registry: Registry[Any] = Registry().with_resources(named)
    return _Validator({"$ref": _PARTS[part]}, registry=registry)


def _resource(name: SchemaName) -> Resource[Any]:
    # with `$schema`, the library would use that standard's own validator
    return DRAFT202012.create_resource({k: v for k, v in schema(name).items() if k != "$schema"})


def check(part: Part, value: object) -> Iterator[ValueFault]:
    """The faults of a value; paths start at the value."""
    for error in _validator(part).iter_errors(value):
        yield from faults_of(error)


class Outlines:
    """Checks many values that mostly differ in free text, each outline only once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Part, str], tuple[ValueFault, ...]] = {}

    def check(self, part: Part, value: object) -> tuple[ValueFault, ...]:
        """The faults of a value; paths start at the value."""
        key = (part, repr(_outline(value)))  # equal text means equal values, as in JSON
        faults = self._known.get(key)
        if faults is None:
            faults = self._known[key] = tuple(check(part, value))
        return faults


def is_seed(value: object) -> bool:
    """Whether a value is a valid seed."""
    return type(value) is int and value in _SEEDS


def _outline(value: object) -> object:
    """An entry or request without its free text: equal outlines have equal faults."""
    if not isinstance(value, dict):
        return value
    outline = dict(value)
    for key in ("id", "prompt", "image"):
        if key in outline:
            outline[key] = _any_text(outline[key])
    labels, metadata = outline.get("labels"), outline.get("metadata")
    if isinstance(labels, dict):
        outline["labels"] = {name: "x" if isinstance(text, str) else text for name, text in labels.items()}
    if isinstance(metadata, dict):
        outline["metadata"] = metadata = dict(metadata)
        if is_seed(metadata.get("seed")):
            metadata["seed"] = 0
        if isinstance(content := metadata.get("content"), list):
            metadata["content"] = [_outline_of_item(item) for item in content]
    return outline


def _outline_of_item(item: object) -> object:
    if not isinstance(item, dict):
        return item
    return {
        key: {"url": _any_text(value["url"])}
        if isinstance(value, dict) and value.keys() == {"url"}
        else value
        for key, value in item.items()
    }


def _any_text(value: object) -> object:
    """One placeholder for all texts that are not blank."""
    return "x" if isinstance(value, str) and value.strip() else value
