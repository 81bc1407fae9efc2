"""The state of a finished video's file. The task stays done even if the file is gone."""

from __future__ import annotations

from enum import StrEnum


class FileState(StrEnum):
    """What the last look at a finished video's file showed; stored as this word."""

    IN_PLACE = ""
    MISSING = "missing"
    """Moved or deleted; the name is free."""
    DANGLING = "dangling"
    """A link has the name, and leads to nothing."""
    CHANGED = "changed"
    """Something else has the name: edited in place, cut, or replaced."""


def warning(file_name: str, state: FileState, links_dead: bool) -> str:
    """What the row of a finished video says of its file; empty where all is well."""
    match state:
        case FileState.IN_PLACE:
            return ""
        case FileState.MISSING if links_dead:
            return f"{file_name} was moved or deleted, and the gateway no longer has the video"
        case FileState.MISSING:
            return f"{file_name} was moved or deleted"
        case FileState.DANGLING:
            return f"{file_name} is a broken symlink"
        case FileState.CHANGED:
            return f"{file_name} was changed or replaced after the download"
