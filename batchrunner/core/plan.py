"""Turns a checked request into a task: normalise, fingerprint, name.

Identity is content. Two requests that ask for the same video have one fingerprint, however they were
written; what doesn't change the video (`callback_url`, `execution_expires_after`) is not in it.
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
"""Seconds; what the API document says that a request without a length gets."""

NOT_IN_FINGERPRINT = frozenset({"callback_url", "execution_expires_after"})
_INPUTS = frozenset({"image", "images", "url"})
"""Keys under which a data URI stands for an input."""
_STEM_BYTES = 60
_RESERVED_STEM = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_UNSAFE_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


class WantedTask(NamedTuple):
    """One entry of the expanded manifest: a whole, checked request, before it has an identity."""

    request: Request
    """As the API takes it, defaults merged, templates filled, local files as `MediaFile`."""
    id: str = ""
    labels: Mapping[str, str] | None = None
    source: str = ""
    name: str = ""
    """What an id is made from where none is given; the prompt, if empty."""


def plan_tasks(wanted: Sequence[WantedTask]) -> tuple[PlannedTask, ...]:
    """Give every wanted task its key, its place and an id; the same request twice is two replicas."""
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
    """Bring a request into the one form that is hashed and kept.

    The length stands in `metadata.duration` alone (5 where none was given), or in `metadata.frames`;
    the wire mapping makes the three equal fields of it again. Values of None count as absent.
    """
    result: dict[str, RequestValue] = {name: value for name, value in request.items() if value is not None}
    duration, seconds = result.pop("duration", None), result.pop("seconds", None)
    given = result.get("metadata")
    metadata = {k: v for k, v in given.items() if v is not None} if isinstance(given, Mapping) else {}
    if "frames" not in metadata:
        top = duration or (int(seconds) if isinstance(seconds, str) and seconds else None)
        metadata["duration"] = top or metadata.get("duration") or DEFAULT_DURATION
    elif metadata.get("duration") == 0:  # which says nothing
        del metadata["duration"]
    result["metadata"] = metadata
    return result


def digest_form(value: RequestValue, is_input: bool = False) -> object:
    """The value as plain JSON; local files, and the data URIs of inputs, stand as the hash of their bytes."""
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
    # one that stands in the defaults is met in every task
    return hashlib.sha256(uri.encode()).hexdigest()


def canonical(request: Request) -> str:
    """The one JSON text of what the fingerprint covers."""
    covered = {name: value for name, value in request.items() if name not in NOT_IN_FINGERPRINT}
    metadata = covered.get("metadata")
    if isinstance(metadata, Mapping):
        covered["metadata"] = {k: v for k, v in metadata.items() if k not in NOT_IN_FINGERPRINT}
    # a data URI is the one thing that JSON would take as it is
    return _CANONICAL.encode(digest_form(covered) if has_inputs(covered) else covered)


def has_inputs(request: Request) -> bool:
    """Whether a request has pictures, videos or sounds."""
    metadata = request.get("metadata")
    has_content = isinstance(metadata, Mapping) and "content" in metadata
    return has_content or "image" in request or "images" in request


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=digest_form)


def fingerprint(request: Request, replica: int = 1) -> TaskKey:
    """`1-` and the SHA-256 of a normalised request; `replica` counts equal requests from 1."""
    return _hashed(canonical(request), replica)


def _hashed(text: str, replica: int) -> TaskKey:
    whole = text if replica == 1 else f"{text}#{replica}"
    return TaskKey(f"{FINGERPRINT_VERSION}-{hashlib.sha256(whole.encode()).hexdigest()}")


def short(key: TaskKey) -> str:
    """The first 8 digits of a fingerprint: enough to tell tasks apart for a person."""
    return key.partition("-")[2][:8]


def made_up_id(text: str, key: TaskKey) -> str:
    """An id for a task that was given none: the start of its prompt or name, and its fingerprint."""
    words = "-".join(re.findall(r"\w+", unicodedata.normalize("NFC", text).lower()))
    stem = words.encode()[:40].decode(errors="ignore").rstrip("-_")
    return f"{stem}-{short(key)}" if stem else short(key)


def renamed(task_id: str, key: TaskKey, other: TaskKey) -> str:
    """The id of a task that turned out to have the key `other`: one that was made up follows it."""
    made_up = task_id.endswith(short(key))
    return task_id.removesuffix(short(key)) + short(other) if made_up else task_id


def id_fault(task_id: str) -> str:
    """Why this can't be an id, since a file is named after it; empty where it can."""
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
    """`text` with what can't stand in an id made into what can: `16:9` is 16x9, other signs are a dash."""
    return _UNSAFE_IN_NAMES.sub("-", re.sub(r"(?<=\d):(?=\d)", "x", text))


def folded(name: str) -> str:
    """Equal for two names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def file_name(task_id: str, key: TaskKey, taken: Container[str]) -> str:
    """The path of a task's video below the run directory, unlike every `folded` one that was ever given."""
    whole = key.partition("-")[2]
    further = (f"-{whole}-{number}" for number in itertools.count(2))
    endings = itertools.chain(("", f"-{short(key)}", f"-{whole}"), further)
    names = (f"{VIDEOS}/{task_id}{ending}.mp4" for ending in endings)
    return next(name for name in names if folded(name) not in taken)


def version_name(name: str, version: int, taken: Container[str]) -> str:
    """The path for a further version of the video at `name`, unlike every `folded` one ever given."""
    stem = name.removesuffix(".mp4").removesuffix(f"-v{version - 1}" if version > 2 else "")
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (f"{stem}-v{version}{ending}.mp4" for ending in endings)
    return next(name for name in names if folded(name) not in taken)


def inputs(request: Request) -> tuple[str, ...]:
    """The files and URLs that a request is made from, as the user wrote them; data URIs by their head."""
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
