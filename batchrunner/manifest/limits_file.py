"""Reads the model's limits from `data/seedance.yaml`."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import yaml

from batchrunner.core.rules.inputs import InputLimits
from batchrunner.core.rules.limits import Limits, ModelLimits, PromptLimits
from batchrunner.manifest.yaml_parser import Parser


@cache
def load_limits() -> Limits:
    """The limits, read once."""
    text = (resources.files("batchrunner") / "data" / "seedance.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, Loader=Parser)  # noqa: S506  # a safe loader
    media, prompt = data["media"], data["prompt"]
    return Limits(
        date=str(data["date"]),
        source=data["source"],
        models={name: _model(given) for name, given in data["models"].items()},
        default_resolution=data["default_resolution"],
        default_ratio=data["default_ratio"],
        fps=data["fps"],
        longest_auto=data["longest_auto"],
        longest_input_video=data["longest_input_video"],
        generation_seconds=float(data["generation_seconds"]),
        expires_after=(data["expires_after"][0], data["expires_after"][1]),
        sizes={
            resolution: {ratio: (width, height) for ratio, (width, height) in row.items()}
            for resolution, row in data["sizes"].items()
        },
        max_bitrate=data["max_bitrate"],
        inputs=InputLimits(
            counts={"image": media["images"], "video": media["videos"], "audio": media["audios"]},
            most_bytes={kind: media[f"{kind}_bytes"] for kind in ("image", "video", "audio")},
            body_bytes=media["body_bytes"],
            sides=(media["image_sides"][0], media["image_sides"][1]),
            aspect=(media["image_aspect"][0], media["image_aspect"][1]),
            types={"image": tuple(media["image_types"]), "audio": tuple(media["audio_types"])},
        ),
        prompt=PromptLimits(prompt["max_cjk_characters"], prompt["max_words"], tuple(prompt["flags"])),
        reference_prices={
            model: {
                currency: {resolution: (without, with_) for resolution, (without, with_) in row.items()}
                for currency, row in by_currency.items()
            }
            for model, by_currency in data["reference_prices"].items()
        },
    )


def _model(given: dict[str, Any]) -> ModelLimits:
    shortest, longest = given["duration"]
    return ModelLimits(
        resolutions=tuple(given["resolutions"]),
        refuses=frozenset(given["refuses"]),
        service_tiers=tuple(given["service_tiers"]),
        shortest=shortest,
        longest=longest,
    )
