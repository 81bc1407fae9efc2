"""Whether the disk has room for the videos to come."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from batchrunner.core.file_names import VIDEOS


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
        self, free: Callable[[], int], reserve: int, largest: int, coming: Callable[[], int]
    ) -> None:
        self._free, self._reserve, self._largest, self._coming = free, reserve, largest, coming

    def lacks(self, in_the_air: int) -> int:
        """Bytes missing for all paid and unanswered tasks and one more video; 0 if there is enough space."""
        needed = self._reserve + self._largest * (self._coming() + in_the_air + 1)
        return max(0, needed - self._free())

    def will_not_change(self) -> bool:
        """Whether no paid tasks are left whose completion could change the result."""
        return self._coming() == 0
