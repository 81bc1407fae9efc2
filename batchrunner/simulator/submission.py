"""Converts the body of a POST to the model's request, with the gateway's own checks in order.

Pure except for the time in an upstream refusal. Every function raises Denied with the answer.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batchrunner.simulator import refusal
from batchrunner.simulator.api_keys import Key
from batchrunner.simulator.refusal import Denial, Denied

MODELS = ("dreamina-seedance-2-0", "dreamina-seedance-2-0-fast")
MAX_BODY = 128 * 1024 * 1024  # bytes
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")  # what Go's Atoi accepts; Python's int accepts more
_BAD_JSON = "Invalid request: Invalid request: invalid JSON request body"

_INTS = ("duration", "frames", "seed", "execution_expires_after", "priority")
_BOOLS = ("return_last_frame", "generate_audio", "draft", "camera_fixed", "watermark")
_TEXTS = ("callback_url", "service_tier", "resolution", "ratio", "safety_identifier")
_LISTS = {"content": "[]doubao.ContentItem", "tools": "[]doubao.Tool"}


@dataclass(frozen=True)
class Submission:
    """A request whose fields the gateway has accepted, before the upstream request is built."""

    model: str
    prompt: str
    duration: int  # top level; 0 when absent or dropped
    seconds: int  # 0 when absent or not a number
    images: tuple[str, ...]
    metadata: Mapping[str, Any]
    body: Mapping[str, Any]  # all of it, as sent


@dataclass(frozen=True)
class ArkRequest:
    """The upstream request: the known metadata, with `seconds` overriding its duration."""

    fields: Mapping[str, Any] = field(default_factory=dict)  # of those in _INTS, _BOOLS, _TEXTS and _LISTS
    images: tuple[str, ...] = ()

    def get(self, name: str, default: Any) -> Any:
        """A field, or `default` if the request omits it."""
        return self.fields.get(name, default)


def parse_body(body: bytes, content_type: str) -> Mapping[str, Any]:
    """The JSON object in a body; a body with another content type is ignored."""
    if not content_type.lower().startswith("application/json"):
        return {}
    if len(body) > MAX_BODY:
        raise too_large()
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusal.distribute(400, _BAD_JSON) from error
    if not isinstance(value, dict):
        raise refusal.distribute(400, _BAD_JSON)
    return value


def too_large() -> Denied:
    """400 for a body over 128 MB; the gateway closes the connection after it."""
    message = "Invalid request: Invalid request: request body exceeds 128 MB: request body too large"
    return Denied(Denial(400, "openai", "", message, (("Connection", "close"),)))


def check_model(body: Mapping[str, Any], key: Key, documented: bool) -> str:
    """The model's name, if the key may use it and a channel serves it.

    The documented gateway (`documented`) answers 400 for an unknown model.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise refusal.distribute(400, "Model name not specified, model name cannot be empty")
    if key.models is not None and model not in key.models:
        raise refusal.distribute(403, f"This token has no access to model {model}")
    if model not in MODELS and documented:
        raise refusal.distribute(400, "model not allowed")
    if model not in MODELS:
        message = f"No available channel for model {model} under group default (distributor)"
        raise refusal.distribute(503, message, "model_not_found")
    return model


def check_fields(model: str, body: Mapping[str, Any]) -> Submission:
    """The top-level fields: their types, the prompt, the duration's bounds."""
    for name in ("prompt", "image", "size", "mode", "input_reference", "seconds"):
        _must_be_text(body.get(name), name, "string")
    images = body.get("images")
    if images is not None and not isinstance(images, list):
        raise _wrong_type(images, "images", "[]string")
    for image in images or ():
        _must_be_text(image, "images", "string")
    prompt = body.get("prompt") or ""
    if not prompt.strip():
        raise refusal.invalid_request("prompt is required")
    duration = _lenient_int(body.get("duration"))
    seconds = _lenient_int(body.get("seconds"))
    if not 0 <= (seconds or duration) <= 3600:
        raise Denied(Denial(400, "task", "invalid_seconds", "seconds must be between 1 and 3600"))
    single = [body["image"]] if body.get("image") else []
    return Submission(
        model, prompt, duration, seconds, tuple(images or single), _metadata(body.get("metadata")), body
    )


def build(submission: Submission, documented: bool) -> ArkRequest:
    """The upstream request; a metadata value of the wrong type causes a 500, unknown keys are dropped.

    The recorded gateway ignores a top-level `duration`; with the documented one (`documented`) it wins.
    """
    fields: dict[str, Any] = {}
    # Go matches keys case-insensitively, in sorted order: of two spellings the lower-case one wins.
    for key in sorted(submission.metadata):
        value = submission.metadata[key]
        if value is not None and (read := _READERS.get(key.lower())) is not None:
            fields[key.lower()] = read(value, key.lower())
    if submission.seconds > 0:
        fields["duration"] = submission.seconds
    if documented and submission.duration > 0:
        fields["duration"] = submission.duration
    return ArkRequest(fields, submission.images)


def _metadata(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _lenient_int(value: object) -> int:
    """A whole number or its decimal text; anything else is silently 0."""
    if isinstance(value, str):
        return int(value) if _NUMBER.fullmatch(value) else 0
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _go_kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _must_be_text(value: object, name: str, wanted: str) -> None:
    if value is not None and not isinstance(value, str):
        raise _wrong_type(value, name, wanted)


def _wrong_type(value: object, name: str, wanted: str) -> Denied:
    return refusal.invalid_request(
        f"json: cannot unmarshal {_go_kind(value)} into Go struct field .Alias.{name} of type {wanted}"
    )


def _build_failed(reason: str) -> Denied:
    prefix = "convert request payload failed: unmarshal metadata failed: unmarshal metadata failed: "
    return Denied(Denial(500, "task", "build_request_failed", prefix + reason))


def _wrong_metadata(value: object, name: str, wanted: str) -> Denied:
    target = f"Go struct field requestPayload.{name} of type {wanted}"
    return _build_failed(f"json: cannot unmarshal {_go_kind(value)} into {target}")


def _read_int(value: object, name: str) -> int:
    if isinstance(value, float) and value.is_integer():  # it passes through a map, where 5.0 becomes 5
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise _wrong_metadata(value, name, "string")
    if not _NUMBER.fullmatch(value):
        raise _build_failed(f'strconv.Atoi: parsing "{value}": invalid syntax')
    return int(value)


def _read_bool(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise _wrong_metadata(value, name, "string")
    if value not in ("true", "false"):
        raise _build_failed(f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return value == "true"


def _read_text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong_metadata(value, name, "string")
    return value


def _read_list(value: object, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong_metadata(value, name, _LISTS[name])
    return value


_READERS = {
    **dict.fromkeys(_INTS, _read_int),
    **dict.fromkeys(_BOOLS, _read_bool),
    **dict.fromkeys(_TEXTS, _read_text),
    **dict.fromkeys(_LISTS, _read_list),
}
