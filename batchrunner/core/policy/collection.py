"""State changes after the download of a finished video."""

from __future__ import annotations

from dataclasses import replace

from batchrunner.core.links import LINK_EXPIRED, LINKS_LIVE, Dead, VideoSource
from batchrunner.core.outcome import Receipt
from batchrunner.core.policy.moves import AttemptFacts, Move
from batchrunner.core.states import Event, TaskState


def after_video(facts: AttemptFacts, warnings: tuple[str, ...]) -> Move:
    """The video was verified and put in place."""
    return Move(Event.COLLECTED, TaskState.DONE, warnings=warnings, facts=facts)


def after_no_video(remote_id: str, has_link: bool, last: Receipt, dead: Dead) -> Move:
    """The video could not be downloaded; `last` is the newest answer."""
    facts = AttemptFacts(content_dead_at=dead.content_at, link_dead_at=dead.link_at)
    code, message = last.code or f"http_{last.status}", last.message
    if dead.sources >= ({VideoSource.CONTENT, VideoSource.LINK} if has_link else {VideoSource.CONTENT}):
        code = LINK_EXPIRED
        message = (
            f"the gateway no longer has the video: its links are valid for {LINKS_LIVE / 3600:.0f} hours "
            f"(last answer: {last.message or f'HTTP {last.status}'}). Ask the gateway's operator for "
            f"{remote_id}; `batchrunner collect` tries the links again, free of charge"
        )
    return Move(
        Event.UNCOLLECTABLE, TaskState.UNCOLLECTED, error_code=code, error_message=message, facts=facts
    )


def after_name_taken(file_name: str, why: str) -> Move:
    """The video's file name is taken by another file."""
    return Move(
        Event.UNCOLLECTABLE,
        TaskState.UNCOLLECTED,
        error_code="name_taken",
        error_message=f"{file_name} exists, but {why}: move it away, then run `batchrunner collect`",
    )


def after_another_copy(move: Move) -> Move:
    """The same for a video that was verified before: it stays done, even if the download failed."""
    return replace(move, to=TaskState.DONE) if move.to is TaskState.UNCOLLECTED else move
