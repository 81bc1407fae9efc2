"""Which shots make a film: each one continues the one before it.

A shot continues another one if it begins with that one's last frame, or is made from its video. A last frame
that is only a reference, or the frame to end with, continues nothing.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

from batchrunner.core.model import Part, Request, TaskKey
from batchrunner.core.needs import Need, needs_in
from batchrunner.core.plan import short
from batchrunner.core.states import TaskState

FIRST_FRAME = "first_frame"


class Shot(NamedTuple):
    """A task that a film may need. Times are Unix seconds."""

    key: TaskKey
    id: str
    state: str
    error_code: str = ""
    submitted_at: float | None = None
    """When its newest attempt was submitted."""
    made_at: float | None = None
    """When the video of its newest attempt was first downloaded."""


def continued(request: Request) -> TaskKey | None:
    """The shot that a request continues; None if there is none."""
    return found.task if (found := continuation(request)) else None


def continuation(request: Request) -> Need | None:
    """The input by which a request continues another shot: the first such one; None if there is none."""
    return next((need for need in needs_in(request) if _is_continuation(request, need)), None)


def chains(links: Mapping[TaskKey, TaskKey], wanted: Container[TaskKey]) -> list[tuple[TaskKey, ...]]:
    """The shots of every film, in order; `links` says which shot a shot continues.

    There is a film for each wanted shot that continues another one and that no other wanted one continues.
    """
    inner = frozenset(before for key, before in links.items() if key in wanted)
    return [_chain(key, links) for key in links if key in wanted and key not in inner]


def reason_not_made(chain: Sequence[TaskKey], shots: Mapping[TaskKey, Shot]) -> str:
    """Why a film can't be made yet; empty if it can: every shot is done."""
    for key in chain:
        shot = shots.get(key)
        if shot is None:
            return f"one of its shots is not in this ledger ({short(key)})"
        if shot.state != TaskState.DONE:
            code = f" ({shot.error_code})" if shot.error_code else ""
            return f"the shot {shot.id} is not done: {shot.state}{code}"
    return ""


def jumps(chain: Sequence[Shot]) -> list[tuple[str, str]]:
    """The IDs of shots that don't follow on from the one before, which was made again since, and of that."""
    return [(shot.id, before.id) for before, shot in pairwise(chain) if is_older(shot, before)]


def is_older(shot: Shot, need: Shot) -> bool:
    """Whether a shot was made from an earlier version of one that it needs."""
    if need.made_at is None or shot.submitted_at is None:
        return False
    return need.made_at > shot.submitted_at


def _chain(last: TaskKey, links: Mapping[TaskKey, TaskKey]) -> tuple[TaskKey, ...]:
    found = [last]
    while (before := links.get(found[-1])) is not None:
        found.append(before)
    return tuple(reversed(found))


def _is_continuation(request: Request, need: Need) -> bool:
    """Whether the video begins where the needed one ends."""
    if need.part is Part.VIDEO:
        return True
    whole = cast(Any, request)
    match need.path:
        case ("image",):
            return True
        case ("images", _):
            return len(whole["images"]) == 1
        case (_, _, int(index), *_):
            return bool(whole["metadata"]["content"][index].get("role", FIRST_FRAME) == FIRST_FRAME)
    return False
