"""What the writers of all formats have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batchrunner.core.splits import SplitShare, split_of
from batchrunner.output.export.rows import Clip


class SetWriter(Protocol):
    """Writes a set in one format, in the order in which videos are added."""

    @property
    def hashes(self) -> Mapping[str, str]:
        """The hash of each video that is in the set and stays there, by fingerprint."""

    @property
    def notices(self) -> list[str]:
        """What the user should know about the files that were written."""

    def opened(self) -> AbstractAsyncContextManager[object]:
        """Lock and prepare the folder."""

    async def add(self, clip: Clip) -> None:
        """Add a video.

        Raises:
            Unusable: it is not the video that was verified; the set is as before.
            StorageError: the bucket that it is in can't be read.
        """

    async def settle(self) -> Mapping[str, tuple[Path, str]]:
        """Complete what was added; return, by fingerprint, unusable videos, and why they are."""

    def finish(self) -> int:
        """Write the files about the set; return the number of its videos."""


@dataclass(frozen=True, slots=True)
class SetOptions:
    """How a set is made."""

    path: Path
    """Its folder."""
    recorded: Mapping[str, object]
    """The options that must be the same each time, as the user writes them."""
    splits: Sequence[SplitShare]
    verify: bool = False
    """Whether to hash videos even if size and time show that they have not changed."""

    def split_of(self, clip: Clip) -> str:
        """The split for a video: replicas of a request are in the same, and so are the shots of a chain."""
        return split_of(clip.video.first, self.splits)
