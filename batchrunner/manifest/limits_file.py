"""Reads the models' limits: from `data/seedance.yaml`, and from what a manifest's models file adds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from batchrunner.core.rules.inputs import InputLimits
from batchrunner.core.rules.limits import Limits, ModelLimits, PromptLimits
from batchrunner.manifest.schema import schema
from batchrunner.manifest.yaml_parser import Parser

_KINDS = ("image", "video", "audio")
_MERGED = ("sizes", "inputs", "prices")
"""Figures of a model whose parts replace the common ones one by one."""


@cache
def load_limits(models: str = "") -> Limits:
    """The limits; `models` is the content of a models file as `models_file.read_models` returns it."""
    data = built_in()
    return _limits(data, joined(data["models"], json.loads(models)["models"] if models else {}))


@cache
def built_in() -> dict[str, Any]:
    """The content of `data/seedance.yaml`."""
    text = (resources.files("batchrunner") / "data" / "seedance.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=Parser)  # noqa: S506  # a safe loader
    return data


def joined(known: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Models by name: a given one replaces the figures of a known one that it has, and keeps the others."""
    return {**known, **{name: over(known.get(name, {}), model) for name, model in given.items()}}


def over(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a model, and those of `base` that it doesn't have."""
    merged = {key: {**base.get(key, {}), **given[key]} for key in _MERGED if key in given}
    return {**base, **given, **merged}


def _limits(data: Mapping[str, Any], given: Mapping[str, Any]) -> Limits:
    common, prompt = data["common"], data["prompt"]
    types = {"image": tuple(data["image_types"]), "audio": tuple(data["audio_types"])}
    models = {name: _model(over(common, model), types) for name, model in given.items()}
    return Limits(
        models=models,
        common=_model(common, types),
        words=_words(models),
        generation_seconds=float(data["generation_seconds"]),
        expires_after=(data["expires_after"][0], data["expires_after"][1]),
        bits_per_pixel=float(data["bits_per_pixel"]),
        prompt=PromptLimits(prompt["max_cjk_characters"], prompt["max_words"], tuple(prompt["flags"])),
    )


def _model(given: Mapping[str, Any], types: Mapping[str, tuple[str, ...]]) -> ModelLimits:
    """A model from its figures, the common ones included."""
    shortest, longest = given["duration"]
    return ModelLimits(
        resolutions=tuple(given["resolutions"]),
        refuses=frozenset(given["refuses"]),
        service_tiers=tuple(given["service_tiers"]),
        shortest=shortest,
        longest=longest,
        default_resolution=given["default_resolution"],
        default_ratio=given["default_ratio"],
        fps=given["fps"],
        sizes={
            resolution: {ratio: (width, height) for ratio, (width, height) in row.items()}
            for resolution, row in given["sizes"].items()
        },
        inputs=_inputs(given["inputs"], types),
        prices={
            currency: {resolution: (without, with_) for resolution, (without, with_) in row.items()}
            for currency, row in given.get("prices", {}).items()
        },
    )


def _inputs(given: Mapping[str, Any], types: Mapping[str, tuple[str, ...]]) -> InputLimits:
    return InputLimits(
        counts={kind: given[f"{kind}s"] for kind in _KINDS},
        most_bytes={kind: given[f"{kind}_bytes"] for kind in _KINDS},
        body_bytes=given["body_bytes"],
        sides=(given["image_sides"][0], given["image_sides"][1]),
        aspect=(given["image_aspect"][0], given["image_aspect"][1]),
        types=types,
        video_seconds=given["video_seconds"],
    )


def _words(models: Mapping[str, ModelLimits]) -> dict[str, tuple[str, ...]]:
    """What the fields with words take: the values in the task's schema, and those of any model."""
    fields = schema("task")["$defs"]["metadata"]["properties"]
    each = models.values()
    own = {
        "resolution": (word for model in each for word in model.resolutions),
        "ratio": (word for model in each for row in model.sizes.values() for word in row),
        "service_tier": (word for model in each for word in model.service_tiers),
    }
    return {
        field: tuple(dict.fromkeys((*fields[field]["anyOf"][0]["enum"], *words)))
        for field, words in own.items()
    }
