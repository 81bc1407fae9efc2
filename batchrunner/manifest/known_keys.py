"""Reports unknown keys, which the gateway would silently drop, and suggests the right ones."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from batchrunner.core.text import closest
from batchrunner.manifest.nodes import Path
from batchrunner.manifest.schema import MULTIPLYING, schema
from batchrunner.manifest.value_faults import dotted

_SECRET = re.compile(r"(api|secret|access)[_-]?(key|token)|authorization|token|password|key", re.IGNORECASE)


def unknown_key(key: str, path: Path, allowed: Sequence[str]) -> tuple[str, str]:
    """Message and hint for a key at `path` that is not one of the `allowed` ones."""
    message = f"`{dotted((*path, key))}` is not a known key"
    if _SECRET.fullmatch(key):
        return (
            message,
            "don't put secrets in a manifest: set EASYROUTER_API_KEY or use --api-key-file",
        )
    if key.lower().startswith("x-"):
        return message, "custom keys start with x- and go at the top level of the manifest"
    is_model = path[:1] == ("models",)  # a models file has nothing in common with tasks
    elsewhere = [] if is_model else [(home, keys) for home, keys in _homes() if set(keys) != set(allowed)]
    for home, keys in elsewhere:
        if key in keys:
            return f"`{key}` belongs {home}" + (
                f", not under `{dotted(path)}`" if path else ""
            ), "move it there"
    if near := closest(key, allowed):
        return message, f"did you mean `{near}`?"
    for home, keys in elsewhere:
        if near := closest(key, keys, cutoff=0.8):
            return message, f"did you mean `{near}`, {home}?"
    return message, f"valid keys: {', '.join(allowed)}" if allowed else "delete it"


@cache
def _homes() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Where each key belongs, most likely place first."""
    manifest, task = schema("manifest"), schema("task")

    def keys(part: dict[str, Any]) -> tuple[str, ...]:
        return tuple(part["properties"])

    top = manifest["properties"]
    return (
        # `images` at the top level is a section; elsewhere it is a task's field
        ("at the top level of the manifest", tuple(key for key in keys(manifest) if key != "images")),
        ("under `run`", keys(top["run"])),
        ("under `gateway`", keys(top["gateway"])),
        ("under `budget`", keys(top["budget"])),
        ("under `pricing`", keys(top["pricing"])),
        ("under `images`", keys(top["images"])),
        ("in a task, or under `defaults`", (*keys(task), "labels")),
        ("in an entry of `tasks`", ("id", *MULTIPLYING)),
        ("under `metadata`", keys(task["$defs"]["metadata"])),
        ("in an item of `metadata.content`", keys(task["$defs"]["content_item"])),
    )
