"""Checks a whole request: schema, limits, local pictures.

The tasks of one entry mostly differ only in prompt and seed. These are checked separately, and the rest
only once for all tasks that share it; so even a hundred thousand rows are cheap to check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, cast

from batchrunner.core.content import Content, split
from batchrunner.core.model import Request
from batchrunner.core.object_url import is_object_url
from batchrunner.core.rules.inputs import KINDS, InputFault, check_body, check_host, located
from batchrunner.core.rules.limits import Limits, check_fields, check_prompt
from batchrunner.manifest.nodes import Path
from batchrunner.manifest.validation import Outlines, is_seed
from batchrunner.manifest.value_faults import ValueFault, dotted
from batchrunner.media.local_files import MediaFolder, check_data_uri
from batchrunner.media.objects import ToldBefore
from batchrunner.media.picture_files import MediaFault

_ANY_PROMPT, _ANY_SEED = "x", 0
_MOST_KNOWN = 1000
"""How many results are kept: with a picture in each row, every row is a request of its own."""
_LONG = 100_000
"""Shorter prompts, in characters, don't count towards the size of a request."""


class Checked(NamedTuple):
    """A request with its local files resolved, and its faults."""

    request: Request
    """With any prompt, and any seed if it has one."""
    content: Content | None
    """The whole request; None if it has errors."""
    faults: tuple[ValueFault, ...]


class Checker:
    """Checks the requests of one manifest."""

    def __init__(self, limits: Limits, media: MediaFolder, outlines: Outlines) -> None:
        self._limits = limits
        self._media = media
        self._outlines = outlines
        self._known: dict[str, Checked] = {}
        self._last: tuple[dict[str, object], Checked] = {"": None}, Checked({}, None, ())

    def prepare(self, requests: Iterable[Mapping[str, Any]]) -> None:
        """Read what requests need of buckets, many at once."""
        self._media.prepare(
            (kind, value)
            for request in requests
            for _, kind, value in located(request, _mapping(request.get("metadata")))
            if isinstance(value, str)
        )

    def check(self, request: Mapping[str, object]) -> Checked:
        """Check a request completely."""
        common = dict(request)
        prompt, seed = common.get("prompt"), None
        if isinstance(prompt, str) and prompt.strip():
            common["prompt"] = _ANY_PROMPT
        metadata = common.get("metadata")
        if isinstance(metadata, dict) and is_seed(metadata.get("seed")):
            seed = metadata["seed"]
            common["metadata"] = {**metadata, "seed": _ANY_SEED}
        checked = self._common(common)
        if not isinstance(prompt, str):
            return checked
        findings = check_prompt(prompt, self._limits)
        if len(prompt) > _LONG:  # shorter ones don't matter
            whole = {**checked.request, "prompt": prompt}
            below = cast("dict[str, Any]", whole.get("metadata", {}))
            findings += check_body(whole, below, self._limits.of(whole).inputs)
        if findings:
            checked = checked._replace(faults=checked.faults + tuple(map(_fault, findings)))
        if checked.content is None or any(fault.is_error for fault in checked.faults):
            return checked._replace(content=None)
        form, _, common_seed = checked.content
        content = Content(form, prompt, common_seed if seed is None else seed)
        return Checked(checked.request, content, checked.faults)

    def _common(self, request: dict[str, object]) -> Checked:
        last, found = self._last
        # The tasks of an entry share the values without templates: the same objects, not just equal ones.
        if last.keys() == request.keys():
            for name, value in request.items():
                if last[name] is not value:
                    break
            else:
                return found
        key = repr(request)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._thoroughly(request)
        self._last = request, known
        return known

    def _thoroughly(self, request: dict[str, object]) -> Checked:
        faults = list(self._outlines.check("task", request))
        sound = without_fields(request, (fault.path for fault in faults))
        request_out = cast("dict[str, Any]", whole_numbers(sound))
        self._look_up(request_out, faults)
        sound = without_fields(request_out, (fault.path for fault in faults))
        faults += map(_fault, check_fields(cast("Request", sound), self._limits))
        content = None if any(fault.is_error for fault in faults) else split(request_out)
        return Checked(request_out, content, tuple(faults))

    def _look_up(self, request: dict[str, Any], faults: list[ValueFault]) -> None:
        """Replace local files, and pictures in buckets, by MediaFiles; check what else is in buckets."""
        for path, holder, key, kind in _inputs(request):
            try:
                if kind == "image":
                    holder[key] = self._media.picture(holder[key])
                elif is_object_url(holder[key]):
                    faults += map(_fault, check_host(path, self._media.check_clip(holder[key], kind)))
                elif clip := self._media.clip(holder[key], kind):
                    holder[key], host = clip
                    faults += map(_fault, check_host(path, host))
                elif str(holder[key]).startswith("data:audio/"):
                    check_data_uri(holder[key], kind)
            except ToldBefore:
                continue
            except MediaFault as fault:
                faults.append(ValueFault(path, f"`{dotted(path)}`: {fault.message}", fault.hint))


def _inputs(request: dict[str, Any]) -> Iterator[tuple[Path, Any, str | int, str]]:
    """Every input of a valid request: its path, its container and key, and its kind."""
    if "image" in request:
        yield ("image",), request, "image", "image"
    images = request.get("images", [])
    for index in range(len(images)):
        yield ("images", index), images, index, "image"
    for index, item in enumerate(request.get("metadata", {}).get("content", [])):
        for field, kind in KINDS.items():
            if field in item:
                yield ("metadata", "content", index, field, "url"), item[field], "url", kind


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _fault(finding: InputFault) -> ValueFault:
    return ValueFault(finding.path, finding.message, finding.hint, finding.severity)


def field_of(path: Path) -> Path:
    """The field of a request that contains a path: `("metadata", "content")`, `("image",)`."""
    return path[:2] if path[:1] == ("metadata",) else path[:1]


def without_fields(request: Mapping[str, object], paths: Iterable[Path]) -> dict[str, object]:
    """The request without the fields that contain these paths, so that the others can still be checked."""
    result = dict(request)
    for field in {field_of(path) for path in paths}:
        metadata = result.get("metadata")
        if len(field) == 2 and isinstance(metadata, dict):
            result["metadata"] = {key: value for key, value in metadata.items() if key != field[1]}
        elif len(field) == 1:
            result.pop(str(field[0]), None)
    return result


def whole_numbers(value: object) -> object:
    """A copy in which 5.0 is 5: an integer for JSON Schema, but not for the gateway."""
    if isinstance(value, dict):
        return {key: whole_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [whole_numbers(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
