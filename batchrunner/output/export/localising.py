"""Gives exports the files of finished videos, also of those that are in a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from batchrunner.core.file_names import VIDEOS
from batchrunner.output.export.videos import CHANGED, GONE, Unusable, VideoFile
from batchrunner.storage.files import seen_as
from batchrunner.storage.object_videos import ObjectVideos

Localise = Callable[[VideoFile], AbstractAsyncContextManager[VideoFile]]
"""Gives a video whose path is a file on this machine, as long as the context lasts.

Raises `Unusable` if an object is not the video that was verified; `StorageError` if its place can't be read.
"""


@contextmanager
def localising() -> Iterator[Localise]:
    """How to get the files of videos. Copies of objects are temporary, outside of run directories."""
    with ExitStack() as scratch:
        places: dict[str, ObjectVideos] = {}

        def place(url: str) -> ObjectVideos:
            if url not in places:
                folder = Path(scratch.enter_context(tempfile.TemporaryDirectory(prefix="batchrunner-")))
                (folder / VIDEOS).mkdir()
                places[url] = ObjectVideos(url, folder, asyncio.sleep)
            return places[url]

        @asynccontextmanager
        async def localise(video: VideoFile) -> AsyncIterator[VideoFile]:
            if not video.bucket:
                yield video
                return
            async with place(video.bucket).copy(video.name) as path:
                seen = await asyncio.to_thread(_checked, path, video.sha256)
                yield replace(video, path=path, seen=seen)

        yield localise


def _checked(path: Path, sha256: str) -> str:
    """What identifies a copy that has this hash."""
    if not path.is_file():
        raise Unusable(GONE)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise Unusable(CHANGED)
    return seen_as(path.stat())
