"""Gives exports the files of finished videos, also of those that are in a bucket."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from batchrunner.core.file_names import VIDEOS
from batchrunner.ledger import LedgerReader
from batchrunner.output.export.rows import Clip
from batchrunner.output.export.videos import CHANGED, GONE, Unusable
from batchrunner.storage.files import seen_as
from batchrunner.storage.object_videos import ObjectVideos

Localise = Callable[[Clip], AbstractAsyncContextManager[Clip]]
"""Gives a clip whose path is a file on this machine, as long as the context lasts.

Raises `Unusable` if the video is not the one that was verified; `StorageError` if its place can't be read.
"""


@asynccontextmanager
async def localising(directory: Path) -> AsyncIterator[Localise]:
    """How to get the files of a run directory's videos. Copies of objects are temporary, outside of it."""
    async with LedgerReader.open_existing(directory) as ledger:
        url = (await ledger.binding()).videos
    if not url:
        yield _as_it_is
        return
    with tempfile.TemporaryDirectory(prefix="batchrunner-") as folder:
        (Path(folder) / VIDEOS).mkdir()
        videos = ObjectVideos(url, Path(folder), asyncio.sleep)

        @asynccontextmanager
        async def localise(clip: Clip) -> AsyncIterator[Clip]:
            async with videos.copy(clip.video.row.file_name) as path:
                seen = await asyncio.to_thread(_checked, path, clip.sha256)
                yield replace(clip, path=path, video=clip.video._replace(seen=seen))

        yield localise


@asynccontextmanager
async def _as_it_is(clip: Clip) -> AsyncIterator[Clip]:
    yield clip


def _checked(path: Path, sha256: str) -> str:
    """What identifies a copy that has this hash."""
    if not path.is_file():
        raise Unusable(GONE)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise Unusable(CHANGED)
    return seen_as(path.stat())
