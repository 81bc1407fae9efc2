"""Converts the manifest's `run`, `pricing` and `images` sections to the runner's settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from batchrunner.core.budget import Budget, Figure, Limit, Per, micros
from batchrunner.core.model import AUTO, Ahead, Fit, Pricing, RunSettings
from batchrunner.core.video_url import normal
from batchrunner.manifest.schema import schema
from batchrunner.manifest.value_faults import ValueFault, shown

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_FIT = Fit(side=4096, max_bytes=8_000_000)
WORDED = ("concurrency", "ahead")
"""Numbers that may be a word or a share instead, which the schema checks."""
_KINDS: Mapping[str, type] = {field.name: type(field.default) for field in fields(RunSettings)}


def run_settings(given: Mapping[str, Any]) -> RunSettings:
    """The settings of a checked `run` section, with defaults filled in."""
    return RunSettings(**{name: _setting(name, value) for name, value in given.items()})


def beyond(given: Mapping[str, Any]) -> Iterator[ValueFault]:
    """Times and sizes in the `run` section that have a unit and are too large: the schema can't check them.

    The section may have other faults.
    """
    for name, field in schema("manifest")["properties"]["run"]["properties"].items():
        value = given.get(name)
        if name in WORDED or not isinstance(value, str) or not {"pattern", "maximum"} <= field.keys():
            continue
        if re.search(field["pattern"], value) and _setting(name, value) > field["maximum"]:
            yield ValueFault(("run", name), f"`run.{name}` is too large: {shown(value)}", field["boundHint"])


def pricing(given: Mapping[str, Any]) -> Pricing:
    """The settings of a checked `pricing` section."""
    prices = {model: float(price) for model, price in given.get("per_million_tokens", {}).items()}
    return Pricing(given.get("currency", ""), prices)


def budget(given: Mapping[str, Any], currency: str) -> Budget:
    """The settings of a checked `budget` section; `currency` is that of the prices."""
    per = Per(given.get("per", Per.DIRECTORY))
    most = {
        Figure.TOKENS: given.get("tokens"),
        Figure.COST: micros(given["cost"]) if "cost" in given else None,
        Figure.TASKS: given.get("tasks"),
    }
    limits = [
        Limit(name, value, per, f"budget.{name}", currency)
        for name, value in most.items()
        if value is not None
    ]
    failures = given.get("failures")
    if isinstance(failures, str):
        failures = float(failures.rstrip("% ")) / 100
    return Budget(tuple(limits), failures, per)


def fit(given: Mapping[str, Any]) -> Fit:
    """The settings of a checked `images` section."""
    return Fit(int(given.get("fit", _FIT.side)), size(given.get("max_bytes", _FIT.max_bytes)))


def _setting(name: str, value: Any) -> Any:
    if name == "concurrency":
        return AUTO if value == "auto" else int(value)
    if name == "confirm_above":
        return float(value)
    if name == "ahead":
        return Ahead(percent=int(value[:-1])) if isinstance(value, str) else Ahead(int(value))
    if name == "videos":
        return normal(value)
    if name == "disk_reserve":
        return size(value)
    return seconds(value) if _KINDS[name] is float else _KINDS[name](value)


def seconds(value: str | float) -> float:
    """`90`, `"90s"`, `"30m"` or `"2h"` in seconds."""
    if isinstance(value, str):
        number = value.rstrip("smh")
        return float(number) * _SECONDS[value[len(number) :] or "s"]
    return float(value)


def size(value: str | int) -> int:
    """`500000000`, `"500MB"` or `"2 GB"` in bytes."""
    if isinstance(value, str):
        number = value.rstrip("BKMGT ")
        return round(float(number) * _BYTES[value[len(number) :].strip() or "B"])
    return int(value)
