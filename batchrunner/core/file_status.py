"""The state of a finished video's file. The task stays done even if the file is gone."""

from __future__ import annotations

from enum import StrEnum


class FileState(StrEnum):
    """The result of the last check of a finished video's file; stored as this word."""

    IN_PLACE = ""
    MISSING = "missing"
    """Moved or deleted; the name is unused."""
    DANGLING = "dangling"
    """A broken symlink."""
    CHANGED = "changed"
    """Edited in place, truncated, or replaced."""


def warning(file_name: str, state: FileState, links_dead: bool) -> str:
    """The warning about its file in the row of a finished video; empty if the file is in place."""
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
