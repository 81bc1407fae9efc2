"""References to what other tasks make, as users write them: `task:ID/last_frame`, `task:ID/video`."""

from __future__ import annotations

from typing import NamedTuple

from batchrunner.core.model import Part

SCHEME = "task"
PARTS = {"image": Part.LAST_FRAME, "video": Part.VIDEO}
"""What can be needed as an input of each kind."""


class Reference(NamedTuple):
    """A reference to another task's output."""

    id: str
    part: Part


def is_reference(value: object) -> bool:
    """Whether an input is meant as a reference, right or wrong."""
    return isinstance(value, str) and value[: len(SCHEME) + 1].lower() == f"{SCHEME}:"


def written_reference(task_id: str, part: Part) -> str:
    """The reference to an output, as a user would write it."""
    return f"{SCHEME}:{task_id}/{part}"


def reference(text: str, kind: str) -> Reference | None:
    """The reference in an input of this kind; None if it is not written as one, or not of this kind."""
    task_id, _, part = text[len(SCHEME) + 1 :].strip().rpartition("/")
    return Reference(task_id, PARTS[kind]) if task_id and part == PARTS.get(kind) else None
