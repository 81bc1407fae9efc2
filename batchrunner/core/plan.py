"""Turns a checked request into a task: normalise, fingerprint, name.

A task is identified by its content. Two requests for the same video have the same fingerprint, however they
are written; fields that don't affect the video (`callback_url`, `execution_expires_after`) are left out.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from batchrunner.core.file_names import VIDEOS
from batchrunner.core.model import MediaFile, PlannedTask, Request, RequestValue, TaskKey

FINGERPRINT_VERSION = 1
DEFAULT_DURATION = 5
"""Seconds; the documented default of the API."""

NOT_IN_FINGERPRINT = frozenset({"callback_url", "execution_expires_after"})
_INPUTS = frozenset({"image", "images", "url"})
"""Keys whose value may be an input's data URI."""
_STEM_BYTES = 60
_RESERVED_STEM = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_UNSAFE_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


class WantedTask(NamedTuple):
    """One entry of the expanded manifest: a complete, checked request without a fingerprint yet."""

    request: Request
    """In the API's format: defaults merged, templates filled in, local files as `MediaFile`."""
    id: str = ""
    labels: Mapping[str, str] | None = None
    source: str = ""
    name: str = ""
    """What a missing ID is generated from; the prompt, if empty."""


def plan_tasks(wanted: Sequence[WantedTask]) -> tuple[PlannedTask, ...]:
    """Assign each task its key, position and ID; identical requests become replicas."""
    seen: Counter[str] = Counter()
    first: dict[str, TaskKey] = {}
    tasks = []
    for position, task in enumerate(wanted):
        request = normalise(task.request)
        text = canonical(request)
        seen[text] += 1
        key = _hashed(text, replica=seen[text])
        first.setdefault(text, key)
        tasks.append(
            PlannedTask(
                key=key,
                position=position,
                id=task.id or made_up_id(task.name or str(request.get("prompt", "")), key),
                request=request,
                labels=dict(task.labels or {}),
                source=task.source,
                replica=seen[text],
                first=first[text],
            )
        )
    return tuple(tasks)


def normalise(request: Request) -> dict[str, RequestValue]:
    """Convert a request to the canonical form that is hashed and stored.

    The duration is only in `metadata.duration` (5 if not set) or `metadata.frames`; the wire mapping expands
    it to the three equivalent fields again. None counts as absent.
    """
    result: dict[str, RequestValue] = {name: value for name, value in request.items() if value is not None}
    duration, seconds = result.pop("duration", None), result.pop("seconds", None)
    given = result.get("metadata")
    metadata = {k: v for k, v in given.items() if v is not None} if isinstance(given, Mapping) else {}
    if "frames" not in metadata:
        top = duration or (int(seconds) if isinstance(seconds, str) and seconds else None)
        metadata["duration"] = top or metadata.get("duration") or DEFAULT_DURATION
    elif metadata.get("duration") == 0:  # the same as not set
        del metadata["duration"]
    result["metadata"] = metadata
    return result


def digest_form(value: RequestValue, is_input: bool = False) -> object:
    """The value as plain JSON, with local files and data URIs of inputs replaced by their hashes."""
    if isinstance(value, str):
        return {"data_uri_sha256": _data_digest(value)} if is_input and value.startswith("data:") else value
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, MediaFile):
        return {"sha256": value.sha256}
    if isinstance(value, Mapping):
        return {name: digest_form(item, name in _INPUTS) for name, item in value.items()}
    return [digest_form(item, is_input) for item in value]


@lru_cache(maxsize=16)
def _data_digest(uri: str) -> str:
    # one in the defaults is hashed for every task
    return hashlib.sha256(uri.encode()).hexdigest()


def canonical(request: Request) -> str:
    """The canonical JSON of everything that the fingerprint covers."""
    covered = {name: value for name, value in request.items() if name not in NOT_IN_FINGERPRINT}
    metadata = covered.get("metadata")
    if isinstance(metadata, Mapping):
        covered["metadata"] = {k: v for k, v in metadata.items() if k not in NOT_IN_FINGERPRINT}
    # without this, the encoder would keep data URIs as plain strings
    return _CANONICAL.encode(digest_form(covered) if has_inputs(covered) else covered)


def has_inputs(request: Request) -> bool:
    """Whether a request has input pictures, videos or audio."""
    metadata = request.get("metadata")
    has_content = isinstance(metadata, Mapping) and "content" in metadata
    return has_content or "image" in request or "images" in request


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=digest_form)


def fingerprint(request: Request, replica: int = 1) -> TaskKey:
    """`1-` and the SHA-256 of a normalised request; `replica` counts identical requests from 1."""
    return _hashed(canonical(request), replica)


def _hashed(text: str, replica: int) -> TaskKey:
    whole = text if replica == 1 else f"{text}#{replica}"
    return TaskKey(f"{FINGERPRINT_VERSION}-{hashlib.sha256(whole.encode()).hexdigest()}")


def short(key: TaskKey) -> str:
    """The first 8 hex digits of a fingerprint, for display."""
    return key.partition("-")[2][:8]


def made_up_id(text: str, key: TaskKey) -> str:
    """A generated ID for a task without one: the start of its prompt or name, and its fingerprint."""
    words = "-".join(re.findall(r"\w+", unicodedata.normalize("NFC", text).lower()))
    stem = words.encode()[:40].decode(errors="ignore").rstrip("-_")
    return f"{stem}-{short(key)}" if stem else short(key)


def renamed(task_id: str, key: TaskKey, other: TaskKey) -> str:
    """The ID of a task whose key turned out to be `other`; only a generated ID changes."""
    made_up = task_id.endswith(short(key))
    return task_id.removesuffix(short(key)) + short(other) if made_up else task_id


def id_fault(task_id: str) -> str:
    """Why this can't be an ID, which is also a file name; empty if it can."""
    if not task_id:
        return "it is empty"
    if task_id != task_id.strip():
        return "it starts or ends with a space"
    if task_id[0] in ".-":
        return "it starts with a dot" if task_id[0] == "." else "it starts with a dash"
    if task_id.endswith("."):
        return "it ends with a dot"
    if found := _UNSAFE_IN_NAMES.search(task_id):
        return f"an id is used as a file name, so it can't contain {found.group()!r}"
    hidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    if not task_id.isascii() and any(unicodedata.category(char) in hidden for char in task_id):
        return "an id is used as a file name, so it can't contain control or invisible characters"
    if len(task_id.encode()) > _STEM_BYTES * 2:
        return f"an id is used as a file name, so it can't be longer than {_STEM_BYTES * 2} bytes"
    if _RESERVED_STEM.fullmatch(task_id):
        return f"{task_id!r} is a reserved file name on Windows"
    return ""


def id_part(text: str) -> str:
    """`text` without characters not allowed in an ID: `16:9` becomes 16x9, others become a dash."""
    return _UNSAFE_IN_NAMES.sub("-", re.sub(r"(?<=\d):(?=\d)", "x", text))


def folded(name: str) -> str:
    """A normalised name, equal for names that some file system considers the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def file_name(task_id: str, key: TaskKey, taken: Container[str]) -> str:
    """The path of a task's video in the run directory; `taken` are the `folded` paths ever used."""
    whole = key.partition("-")[2]
    further = (f"-{whole}-{number}" for number in itertools.count(2))
    endings = itertools.chain(("", f"-{short(key)}", f"-{whole}"), further)
    names = (f"{VIDEOS}/{task_id}{ending}.mp4" for ending in endings)
    return next(name for name in names if folded(name) not in taken)


def version_name(name: str, version: int, taken: Container[str]) -> str:
    """The path for another version of the video at `name`; `taken` are the `folded` paths ever used."""
    stem = name.removesuffix(".mp4").removesuffix(f"-v{version - 1}" if version > 2 else "")
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (f"{stem}-v{version}{ending}.mp4" for ending in endings)
    return next(name for name in names if folded(name) not in taken)


def inputs(request: Request) -> tuple[str, ...]:
    """The input files and URLs of a request, as the user wrote them; data URIs are cut after their header."""
    found: list[str] = []

    def look(value: RequestValue) -> None:
        if isinstance(value, MediaFile):
            found.append(value.shown)
        elif isinstance(value, str):
            found.append(f"{value.partition(',')[0]},…" if value.startswith("data:") else value)
        elif isinstance(value, Mapping):
            for name in ("image_url", "video_url", "audio_url", "url"):
                look(value.get(name))
        elif isinstance(value, Sequence):
            for item in value:
                look(item)

    metadata = request.get("metadata")
    for value in (request.get("image"), request.get("images")):
        look(value)
    if isinstance(metadata, Mapping):
        look(metadata.get("content"))
    return tuple(found)
