"""Whether there is room for the videos to come, and whether their place can be reached."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from batchrunner.core.errors import ExitCode
from batchrunner.core.file_names import VIDEOS
from batchrunner.core.submission.decision import Hold, Stop

DISK_PAUSE = 30.0
"""Seconds between checks of a full disk."""


def room(directory: Path, reserve: int) -> int:
    """Free bytes on the disk of a run's videos, which may differ from the ledger's disk.

    The ledger needs little, but at least the reserve: if its disk has less, the smaller figure counts.
    """
    ledger = shutil.disk_usage(directory).free
    try:
        videos = shutil.disk_usage(directory / VIDEOS).free
    except FileNotFoundError:  # just moved away: the download will report it
        return ledger
    return videos if ledger >= reserve else min(videos, ledger)


class Disk:
    """Compares free disk space with the space needed for the videos to come."""

    def __init__(
        self,
        free: Callable[[], int],
        reserve: int,
        largest: int,
        coming: Callable[[], int],
        trouble: Callable[[], str] = str,
    ) -> None:
        """`coming` says how many videos are to come; `trouble`, why none can be stored at the moment."""
        self._trouble = trouble
        self._free, self._reserve, self._largest, self._coming = free, reserve, largest, coming

    def lacks(self, in_the_air: int) -> int:
        """Bytes missing for all paid and unanswered tasks and one more video; 0 if there is enough space."""
        needed = self._reserve + self._largest * (self._coming() + in_the_air + 1)
        return max(0, needed - self._free())

    def full(self, in_the_air: int, now: float) -> Hold | Stop | None:
        """Why there is no room for one more task; None if there is."""
        if trouble := self._trouble():  # who stores a video tries again, and then ends the run
            return Hold(trouble, now + DISK_PAUSE)
        lacking = self.lacks(in_the_air)
        if not lacking:
            return None
        why = f"not enough disk space: {lacking / 1e9:.1f} GB missing for the videos in flight and one more"
        if not (self._coming() or in_the_air):  # nothing that ends could change it
            return Stop(why, "free disk space, then run the same command again", ExitCode.STORAGE)
        return Hold(why, now + DISK_PAUSE)
