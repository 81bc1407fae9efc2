"""Plans tasks: gives each its key, its ID and the name of its file."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Container
from typing import NamedTuple

from batchrunner.core.content import Content
from batchrunner.core.file_names import VIDEOS
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.request import hashed

_STEM_BYTES = 60
_SIMPLE = re.compile(rf"[A-Za-z0-9_]([A-Za-z0-9_.-]{{0,{_STEM_BYTES}}}[A-Za-z0-9_-])?")
"""What most IDs look like; they need no closer look."""
_RESERVED_STEM = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_UNSAFE_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')


class WantedTask(NamedTuple):
    """One entry of the expanded manifest: a complete, checked request without a key yet."""

    content: Content
    id: str = ""
    labels_text: str = "{}"
    """Its labels, as a JSON object."""
    source: str = ""
    name: str = ""
    """What a missing ID is generated from; the prompt, if empty."""


_VERSION = re.compile(r"(.+?)(?:-v([0-9]{1,9})(?:-[0-9]{1,9})?)?\.mp4", re.DOTALL)


def key_and_id(wanted: WantedTask) -> tuple[TaskKey, str]:
    """The key and the ID of a task, if no other task has the same request."""
    key = hashed(wanted.content.canonical)
    return key, wanted.id or made_up_id(wanted.name or wanted.content.prompt or "", key)


def as_replica(task: PlannedTask, replica: int) -> PlannedTask:
    """The same task as another one of the tasks with its request; a generated ID changes, too."""
    key = hashed(task.content.canonical, replica)
    return task._replace(key=key, id=renamed(task.id, task.key, key), replica=replica)


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
    return task_id.removesuffix(short(key)) + short(other) if is_made_up(task_id, key) else task_id


def is_made_up(task_id: str, key: TaskKey) -> bool:
    """Whether the ID of the task with this key was generated."""
    return task_id.endswith(short(key))


def id_fault(task_id: str) -> str:
    """Why this can't be an ID, which is also a file name; empty if it can."""
    if _SIMPLE.fullmatch(task_id) and not _RESERVED_STEM.fullmatch(task_id):
        return ""
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
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def file_name(task_id: str, key: TaskKey, taken: Container[str]) -> str:
    """The path of a task's video in the run directory; `taken` are the `folded` paths ever used."""
    if folded(name := f"{VIDEOS}/{task_id}.mp4") not in taken:
        return name
    whole = key.partition("-")[2]
    further = (f"-{whole}-{number}" for number in itertools.count(2))
    endings = itertools.chain((f"-{short(key)}", f"-{whole}"), further)
    names = (f"{VIDEOS}/{task_id}{ending}.mp4" for ending in endings)
    return next(name for name in names if folded(name) not in taken)


def version_name(name: str, version: int, taken: Container[str]) -> str:
    """The path for another version of the video at `name`; `taken` are the `folded` paths ever used."""
    stem = name.removesuffix(".mp4").removesuffix(f"-v{version - 1}" if version > 2 else "")
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (f"{stem}-v{version}{ending}.mp4" for ending in endings)
    return next(name for name in names if folded(name) not in taken)


def version_of(name: str) -> tuple[str, int]:
    """What the paths of all versions of a video have in common, and the number of this one.

    `videos/cat.mp4` is version 1, and `videos/cat-v2.mp4` version 2 unless another task is called so.
    """
    found = _VERSION.fullmatch(name)
    return (found[1], int(found[2] or 1)) if found else (name, 1)


def version_at(name: str, first: str) -> int:
    """The number of the version at `name`, of a task whose first one is at `first`."""
    base, number = version_of(name)
    return number if f"{base}.mp4" == first else 1
