"""Loads the JSON Schemas and looks up fields in them."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from batchrunner.manifest.nodes import Path as ValuePath

SchemaName = Literal["manifest", "task", "results", "scenario", "models", "events"]

MULTIPLYING = ("rows", "encoding", "delimiter", "sheet", "files", "matrix", "repeat")
"""Keys of an entry that determine how many tasks it makes, and are not fields of a task."""


def schema_text(name: SchemaName) -> str:
    """The text of a schema, from the installed package or the checkout.

    Raises:
        FileNotFoundError: it is in neither.
    """
    file = f"{name}.schema.json"
    packaged = resources.files("batchrunner") / "schemas" / file
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "schemas" / file).read_text(encoding="utf-8")


@cache
def schema(name: SchemaName) -> dict[str, Any]:
    """A schema as plain values."""
    loaded: dict[str, Any] = json.loads(schema_text(name))
    return loaded


@cache
def wanted_types(path: ValuePath) -> frozenset[str]:
    """The JSON types that the request allows at `path`; empty if none."""
    root = schema("task")
    here: dict[str, Any] = root
    for key in path:
        here = _resolved(root, here)
        here = here.get("items", {}) if isinstance(key, int) else here.get("properties", {}).get(key, {})
    types = _resolved(root, here).get("type", ())
    return frozenset([types] if isinstance(types, str) else types)


def _resolved(root: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in part:
        return part
    found = root
    for step in str(part["$ref"]).removeprefix("#/").split("/"):
        found = found[step]
    return {**found, **part}
