"""Groups tasks that need attention by cause, and says what each cause means and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from batchrunner.core.links import LINK_EXPIRED
from batchrunner.core.policy import GENERATION_FAILED
from batchrunner.core.states import TaskState


class Remedy(StrEnum):
    """The command that helps."""

    RETRY = "retry"
    COLLECT = "collect"
    RESOLVE = "resolve"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Cause:
    """What an error code means for people."""

    meaning: str
    advice: str
    remedy: Remedy = Remedy.RETRY


_EDIT = "Change the prompt or the picture in the manifest, then run again: that submits it as a new task."
_ONCE_FIXED = "Correct the cause, then retry."
_BY_BEGINNING = (
    (
        GENERATION_FAILED,
        Cause(
            "The gateway ended the generation without a video and refunded it.",
            "Retry; if it keeps failing, ask the gateway's operator.",
        ),
    ),
    (
        "InputText",
        Cause("The model's moderation refused the prompt; nothing was charged.", _EDIT, Remedy.NONE),
    ),
    (
        "InputImage",
        Cause("The model's moderation refused a picture; nothing was charged.", _EDIT, Remedy.NONE),
    ),
    ("InputVideo", Cause("The model's moderation refused a video; nothing was charged.", _EDIT, Remedy.NONE)),
    ("InputAudio", Cause("The model's moderation refused a sound; nothing was charged.", _EDIT, Remedy.NONE)),
    (
        "SensitiveContent",
        Cause("The model's moderation refused the task; nothing was charged.", _EDIT, Remedy.NONE),
    ),
    (
        "Output",
        Cause(
            "The model made a video and its moderation withheld it; nothing was charged.",
            "Another seed may pass: retry. If it keeps failing, change the prompt.",
        ),
    ),
    ("InternalServiceError", Cause("The model had an internal error; nothing was charged.", "Retry later.")),
    (
        "InvalidParameter",
        Cause("The model doesn't accept a value of the request; nothing was charged.", _EDIT, Remedy.NONE),
    ),
    (
        "MissingParameter",
        Cause("The model misses a value in the request; nothing was charged.", _EDIT, Remedy.NONE),
    ),
    (
        "unsendable",
        Cause(
            "A local file, or what it needs of another task, changed or vanished before it was sent.",
            "Put it back, then retry. A changed file of your own is a new task: run again.",
        ),
    ),
    (
        "name_taken",
        Cause(
            "Another file has the video's name.",
            "Move that file away, then collect: it is free.",
            Remedy.COLLECT,
        ),
    ),
    (
        LINK_EXPIRED,
        Cause(
            "The gateway no longer has the video: its links live for 24 hours.",
            "Ask the gateway's operator for it, and quote the remote ID.",
            Remedy.NONE,
        ),
    ),
)
_DOUBT = Cause(
    "Nobody knows whether the gateway accepted the submission; it may have been charged.",
    "Look it up, then decide: adopt its remote ID, or declare it lost and pay again.",
    Remedy.RESOLVE,
)
_VANISHED = Cause(
    "The gateway accepted it and never reported an end with a refund; it may be paid for.",
    "Check again for free; retry by ID only if you accept that it may be paid for twice.",
    Remedy.COLLECT,
)
_NOT_COLLECTED = Cause(
    "The video is paid for and was generated, but the download failed.",
    "Download it again, for free, within 24 hours of its end.",
    Remedy.COLLECT,
)
_STALE_NEED = Cause(
    "A video that it needs was finished more than 20 hours ago: the model can no longer read its link.",
    "Make that video again, which pays for it again (retry --again), then retry this task.",
)
_REJECTED = Cause("The gateway or the model refused the task.", _ONCE_FIXED)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A task that needs attention."""

    key: str
    """Its fingerprint."""
    id: str
    state: TaskState
    code: str
    message: str
    may_be_paid_for: bool = False


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Tasks with the same cause."""

    state: TaskState
    code: str
    message: str
    """The message of the first one."""
    cause: Cause
    ids: tuple[str, ...]
    keys: tuple[str, ...]
    """Their fingerprints."""


def groups(troubles: Iterable[Trouble]) -> list[FailureGroup]:
    """Group by state, code and whether it may be paid for; the largest group first."""
    found: dict[tuple[TaskState, str, bool], list[Trouble]] = {}
    for trouble in troubles:
        found.setdefault((trouble.state, trouble.code, trouble.may_be_paid_for), []).append(trouble)
    made = [
        FailureGroup(
            state,
            code,
            these[0].message,
            _cause(state, code, paid),
            tuple(one.id for one in these),
            tuple(one.key for one in these),
        )
        for (state, code, paid), these in found.items()
    ]
    return sorted(made, key=lambda group: -len(group.ids))


def _cause(state: TaskState, code: str, may_be_paid_for: bool) -> Cause:
    if state is TaskState.IN_DOUBT:
        return _DOUBT
    if may_be_paid_for:
        return _VANISHED
    if state is TaskState.FAILED and code == LINK_EXPIRED:
        return _STALE_NEED
    known = next((cause for beginning, cause in _BY_BEGINNING if code.startswith(beginning)), None)
    if known:
        return known
    return _NOT_COLLECTED if state is TaskState.UNCOLLECTED else _REJECTED
