"""What every place for finished videos can do. A name is a path below the run directory, or below a prefix.

A video is downloaded to a part file on the local disk, verified there, and then kept under its name. Nothing
that has the name is ever overwritten. A place knows neither ledger nor gateway.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.media import VideoFacts
from batchrunner.storage.files import PartFile


@dataclass(frozen=True, slots=True)
class Identity:
    """What a task's video is known by."""

    name: str
    fingerprint: TaskKey
    remote_id: RemoteId | None
    sha256: str | None
    """The hash that was recorded when it was verified; None if that is unknown."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A verified video that is in its place for good."""

    facts: VideoFacts
    sha256: str
    size: int
    seen: str
    """What identifies the file at the next look, without reading it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Something else has the name; `why` completes "it exists, but …"."""

    why: str


class VideoStore(Protocol):
    """A place for finished videos."""

    @property
    def trouble(self) -> str:
        """Why nothing can be kept at the moment, which may pass; empty if it can."""

    def part(self, name: str) -> PartFile:
        """A new part file, on the local disk, for the video of that name."""

    async def find(self, wanted: Identity) -> Kept | Taken | None:
        """The video that was kept before, by a run that was killed before it could record that.

        None if the name is free, or if a download must show whether it is the same video.

        Raises:
            StorageError: the place can't be read.
        """

    async def keep(self, part: PartFile, wanted: Identity, facts: VideoFacts, sha256: str) -> Kept | Taken:
        """Keep a verified part file under its name, durably.

        Raises:
            StorageError: it can't be kept; nothing that was kept is harmed.
        """

    def copy(self, name: str) -> AbstractAsyncContextManager[Path]:
        """A file on the local disk with the content of a video or picture; it may not be changed.

        There is no file if there is no such video.

        Raises:
            StorageError: the place can't be read.
        """

    async def link(self, name: str, sha256: str | None) -> str | None:
        """A link to a video by which the model can read it for some days. It is a secret.

        None if this place has no links; empty if the video with this hash is not there.

        Raises:
            StorageError: the place can't be read, or no link can be made.
        """

    async def keep_picture(self, name: str, data: bytes) -> None:
        """Keep the picture of a last frame.

        Raises:
            FileExistsError: another picture has the name.
            StorageError: it can't be kept.
        """
