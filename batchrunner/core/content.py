"""Splits requests into what most tasks of an entry share, and what differs: prompt and seed.

The canonical text and the stored text of a request are made once for each form; a task only fills in its own
prompt and seed. This makes plans of a million tasks cheap.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from batchrunner.core.model import Fit, MediaFile, Part, Request, RequestValue, TaskKey, TaskOutput
from batchrunner.core.request import canonical, digest_form, inputs, normalise

_PROMPT, _SEED = "\0prompt", "\0seed"
"""Stand in a form for what differs; no checked text contains a NUL."""
_MEDIA, _OUTPUT = "\0media", "\0output"
_TEXT = json.JSONEncoder(ensure_ascii=False)


class RequestForm:
    """A normalised request without its prompt and seed, ready to be completed with many of them."""

    __slots__ = ("_canonical", "_request", "_stored", "inputs")

    def __init__(self, request: Request) -> None:
        """`request` has placeholders in place of prompt and seed, see `split`."""
        self._request = request
        self._canonical = _Pieces(canonical(request))
        self._stored = _Pieces(_TEXT.encode(digest_form(request)))
        self.inputs = _TEXT.encode(inputs(request))
        """The input files and URLs, as a JSON list."""

    @classmethod
    def from_text(cls, text: str) -> RequestForm:
        """Restore a form from `to_text`."""
        return cls(request_of_form(text))

    def to_text(self) -> str:
        """The whole form as JSON, with local files and other tasks' outputs as such."""
        return json.dumps(self._request, ensure_ascii=False, default=_media)

    def request(self, prompt: str | None, seed: int | None) -> dict[str, RequestValue]:
        """The request with a prompt and a seed."""
        whole = dict(self._request)
        if prompt is not None:
            whole["prompt"] = prompt
        metadata = whole.get("metadata")
        if seed is not None and isinstance(metadata, Mapping):
            whole["metadata"] = {**metadata, "seed": seed}
        return whole

    def canonical(self, prompt: str | None, seed: int | None) -> str:
        """The text whose hash is the request's fingerprint."""
        return self._canonical.filled(prompt, seed)

    def stored(self, prompt: str | None, seed: int | None) -> str:
        """The request as the ledger stores it: JSON, with local files and data URIs as hashes."""
        return self._stored.filled(prompt, seed)


def request_of_form(text: str) -> dict[str, Any]:
    """The request of a form from `RequestForm.to_text`, without restoring the form."""
    request: dict[str, Any] = json.loads(text, object_hook=_revived)
    return request


class Content(NamedTuple):
    """What one task asks for: a form with its own prompt and seed, None if the request has none."""

    form: RequestForm
    prompt: str | None = None
    seed: int | None = None

    @property
    def request(self) -> Request:
        """The whole request."""
        return self.form.request(self.prompt, self.seed)

    @property
    def canonical(self) -> str:
        """The text whose hash is the fingerprint."""
        return self.form.canonical(self.prompt, self.seed)

    @property
    def stored(self) -> str:
        """The request as the ledger stores it."""
        return self.form.stored(self.prompt, self.seed)


def split(request: Request) -> Content:
    """Split a complete request, normalised or not."""
    whole = normalise(request)
    prompt, metadata = whole.get("prompt"), whole["metadata"]
    seed = metadata.get("seed") if isinstance(metadata, Mapping) else None
    has_prompt, has_seed = isinstance(prompt, str), type(seed) is int
    if has_prompt:
        whole["prompt"] = _PROMPT
    if has_seed and isinstance(metadata, Mapping):
        whole["metadata"] = {**metadata, "seed": _SEED}
    form = RequestForm(whole)
    return Content(form, str(prompt) if has_prompt else None, int(str(seed)) if has_seed else None)


class _Pieces:
    """A JSON text that is cut where prompt and seed belong."""

    __slots__ = ("_names", "_parts")

    def __init__(self, text: str) -> None:
        places = sorted((text.find(mark), mark) for mark in (_MARK_OF_PROMPT, _MARK_OF_SEED) if mark in text)
        self._names = tuple(mark for _, mark in places)
        self._parts = []
        for _, mark in places:
            before, _, text = text.partition(mark)
            self._parts.append(before)
        self._parts.append(text)

    def filled(self, prompt: str | None, seed: int | None) -> str:
        if self._names == (_MARK_OF_PROMPT,):
            return f"{self._parts[0]}{_TEXT.encode(prompt)}{self._parts[1]}"
        parts = [self._parts[0]]
        for mark, part in zip(self._names, self._parts[1:], strict=True):
            parts.append(_TEXT.encode(prompt if mark == _MARK_OF_PROMPT else seed))
            parts.append(part)
        return "".join(parts)


_MARK_OF_PROMPT, _MARK_OF_SEED = _TEXT.encode(_PROMPT), _TEXT.encode(_SEED)


def _media(value: object) -> object:
    if isinstance(value, MediaFile):
        return {_MEDIA: asdict(value)}
    if isinstance(value, TaskOutput):
        return {_OUTPUT: asdict(value)}
    raise TypeError(f"{type(value)} can't be part of a request")


def _revived(value: dict[str, Any]) -> Any:
    if _OUTPUT in value:
        task, part, shown, seconds = value[_OUTPUT].values()
        return TaskOutput(TaskKey(task), Part(part), shown, seconds)
    if _MEDIA not in value:
        return value
    fields = dict(value[_MEDIA])
    return MediaFile(**{**fields, "fit": Fit(**fields["fit"]) if fields["fit"] else None})
