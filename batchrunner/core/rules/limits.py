"""The models' limits, and checks of a request against them.

The figures come from `data/seedance.yaml` and from the manifest's models file. What the gateway's document
forbids, or what can't work, is an error; what the document allows but the model is known to reject or ignore
is a warning. Types are checked by the schema, which a request has passed by now; so are words, except those
that only a models file can add.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from batchrunner.core.model import Request
from batchrunner.core.rules.inputs import InputFault, InputLimits, check_inputs, error, warning, widest
from batchrunner.core.rules.picture_sizes import check_pictures
from batchrunner.core.rules.prompts import check_words

ADAPTIVE = "adaptive"
"""The ratio of an input, or one that the model chooses."""
_NOT_CJK = re.compile(r"[^\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+")


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """The figures of one model; those that it has in common with the others included."""

    resolutions: tuple[str, ...]
    refuses: frozenset[str]
    """Fields of `metadata` that the document lists but this model rejects."""
    service_tiers: tuple[str, ...]
    shortest: int
    """Seconds."""
    longest: int
    """Also the worst case if the model chooses the duration."""
    default_resolution: str
    default_ratio: str
    fps: int
    sizes: Mapping[str, Mapping[str, tuple[int, int]]]
    """Width and height in pixels, by resolution and ratio."""
    inputs: InputLimits
    prices: Mapping[str, Mapping[str, tuple[float, float]]]
    """List prices per million tokens by currency and resolution, without and with an input video."""

    def size(self, metadata: Mapping[str, object]) -> tuple[int, int] | None:
        """Width and height of the video that a request wants; None if its ratio is open or unknown."""
        row = self.sizes.get(str(metadata.get("resolution") or self.default_resolution), {})
        return row.get(str(metadata.get("ratio") or self.default_ratio))


@dataclass(frozen=True, slots=True)
class PromptLimits:
    """Recommended limits of a prompt."""

    max_cjk_characters: int
    max_words: int
    flags: tuple[str, ...]
    """`--flag`s that the model removes from the prompt and obeys."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The figures of all models, and what they have in common."""

    models: Mapping[str, ModelLimits]
    common: ModelLimits
    """Of models that are not listed."""
    words: Mapping[str, tuple[str, ...]]
    """What `resolution`, `ratio` and `service_tier` may be: the document's values, and those of any model."""
    generation_seconds: float
    """Of a usual video, for forecasts."""
    expires_after: tuple[int, int]
    """Seconds."""
    bits_per_pixel: float
    """Per second, of a video file; generous."""
    prompt: PromptLimits
    complete: bool = True
    """Whether all models are known; not if the models file has errors."""

    def of(self, request: Request) -> ModelLimits:
        """The figures of the request's model."""
        return self.models.get(str(request.get("model")), self.common)

    @property
    def inputs(self) -> InputLimits:
        """What at least one model accepts, for inputs of which the model is not known."""
        return widest([self.common.inputs, *(model.inputs for model in self.models.values())])


def check(request: Request, limits: Limits) -> list[InputFault]:
    """All problems of a request that can be found without opening a file."""
    return [*check_prompt(str(request.get("prompt", "")), limits), *check_fields(request, limits)]


def check_prompt(prompt: str, limits: Limits) -> list[InputFault]:
    """The problems of a prompt."""
    return [*check_words(prompt), *_prompt(prompt, limits.prompt)]


def check_fields(request: Request, limits: Limits) -> list[InputFault]:
    """The problems of a request, except those of its prompt."""
    metadata = request.get("metadata")
    given = metadata if isinstance(metadata, Mapping) else {}
    unknown = list(_words(given, limits)) if limits.complete else []
    refused = {fault.path for fault in unknown}
    given = {field: value for field, value in given.items() if ("metadata", field) not in refused}
    findings = [*unknown, *_model(request, given, limits), *_length(request, given, limits)]
    findings += _settings(given, limits)
    inputs = limits.of(request).inputs
    findings += check_inputs(request, given, inputs)
    return [*findings, *check_pictures(request, given, inputs)]


def _prompt(prompt: str, limits: PromptLimits) -> Iterator[InputFault]:
    if "--" in prompt:
        known = "|".join(limits.flags)
        for flag in sorted(set(re.findall(rf"(?<!\S)--({known})(?![\w-])", prompt))):
            message = f"the model obeys `--{flag}` in the prompt, which overrides the task's fields and cost"
            yield warning(("prompt",), message, "set the field instead, and delete the flag")
    if len(prompt) <= limits.max_cjk_characters:
        return
    hint = "the model may overlook parts of a long prompt"
    if (count := _cjk_characters(prompt)) > limits.max_cjk_characters:
        most = limits.max_cjk_characters
        message = f"the prompt has {count} CJK characters; the recommended maximum is {most}"
        yield warning(("prompt",), message, hint)
    # So many words have at least as many characters, and spaces between them.
    if len(prompt) > 2 * limits.max_words and (count := len(prompt.split())) > limits.max_words:
        yield warning(
            ("prompt",), f"the prompt has {count} words; the recommended maximum is {limits.max_words}", hint
        )


def _cjk_characters(prompt: str) -> int:
    return 0 if prompt.isascii() else len(_NOT_CJK.sub("", prompt))


def _words(metadata: Request, limits: Limits) -> Iterator[InputFault]:
    """Report words that neither the document nor a model has."""
    for field, words in limits.words.items():
        if (given := metadata.get(field)) is not None and given not in words:
            near = get_close_matches(str(given), words, n=1, cutoff=0.8)
            hint = f"did you mean {near[0]}?" if near else f"write one of: {', '.join(words)}"
            yield error(("metadata", field), f'`metadata.{field}` can\'t be "{given}"', hint)


def _model(request: Request, metadata: Request, limits: Limits) -> Iterator[InputFault]:
    if "model" not in request:
        return
    name = str(request["model"])
    model = limits.models.get(name)
    if model is None and not limits.complete:
        return
    if model is None:
        near = get_close_matches(name, limits.models, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"documented models: {', '.join(limits.models)}"
        yield warning(("model",), f"unknown model `{name}`", hint)
        return
    resolution = str(metadata.get("resolution", model.default_resolution))
    ratio = str(metadata.get("ratio", model.default_ratio))
    if resolution not in model.resolutions:
        hint = f"write {' or '.join(model.resolutions)}"
        others = [other for other, its in limits.models.items() if resolution in its.resolutions]
        hint += f", or use the model {others[0]}" if others else ""
        yield warning(("metadata", "resolution"), f"{name} does not support {resolution}", hint)
    elif limits.complete and ratio != ADAPTIVE and ratio not in model.sizes[resolution]:
        message = f"{name} does not support the ratio {ratio} in {resolution}"
        hint = f"write {', '.join(model.sizes[resolution])} or {ADAPTIVE}"
        yield warning(("metadata", "ratio"), message, hint)
    for field in sorted(model.refuses & metadata.keys()):
        if metadata[field] is not False:
            yield warning(("metadata", field), f"{name} rejects `{field}`", "delete it")
    if "service_tier" in metadata and metadata["service_tier"] not in model.service_tiers:
        message = f"{name} does not support the service tier `{metadata['service_tier']}`"
        yield warning(
            ("metadata", "service_tier"), message, f"write {' or '.join(model.service_tiers)}, or delete it"
        )


def _length(request: Request, metadata: Request, limits: Limits) -> Iterator[InputFault]:
    duration, seconds = _number(request.get("duration")), _number(request.get("seconds"))
    below = _number(metadata.get("duration"))
    path: tuple[str, ...] = (
        ("duration",) if duration else ("seconds",) if seconds else ("metadata", "duration")
    )
    if duration and seconds and duration != seconds:
        message = f'`duration` is {duration}, and `seconds` is "{seconds}"'
        yield error(("seconds",), message, "they mean the same: delete one of them")
    length = duration or seconds or below
    if below and length != below:
        message = f"`metadata.duration` {below} has no effect: `{path[0]}` {length} wins over it"
        yield warning(("metadata", "duration"), message, "set the duration only once")
    if "frames" in metadata:
        if length:
            message = f"`metadata.frames` and `{'.'.join(path)}` both set the duration"
            hint = f"delete one of them; `{path[-1]}: null` removes a default"
            yield error(("metadata", "frames"), message, hint)
        return
    model = limits.models.get(str(request.get("model")))
    if length and model and length != -1 and not model.shortest <= length <= model.longest:
        message = (
            f"{request['model']} makes videos of {model.shortest} to {model.longest} seconds, not {length}"
        )
        yield warning(
            path, message, f"write {model.shortest} to {model.longest}, or -1 to let the model choose"
        )


def _settings(metadata: Request, limits: Limits) -> Iterator[InputFault]:
    low, high = limits.expires_after
    expires = _number(metadata.get("execution_expires_after"))
    if expires and not low <= expires <= high:
        message = f"`execution_expires_after` must be {low} to {high} seconds, not {expires}"
        yield warning(
            ("metadata", "execution_expires_after"), message, f"write {low} to {high}, or delete it"
        )
    if "callback_url" in metadata:
        message = "calls to `callback_url` are not signed, so anyone who knows it can call it"
        yield warning(("metadata", "callback_url"), message, "delete it: the runner polls for results itself")


def _number(value: object) -> int:
    """A number of seconds; 0 if not set, which is also what 0 means to the gateway."""
    return int(value) if isinstance(value, int | float | str) else 0
