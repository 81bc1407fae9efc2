"""Opens the place of a run's videos: its own folder, or a prefix of a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchrunner.ledger import LedgerReader
from batchrunner.storage.local_videos import LocalVideos
from batchrunner.storage.object_videos import ObjectVideos
from batchrunner.storage.video_store import VideoStore

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Bucketful:
    """The videos in a bucket, as one listing shows them."""

    store: ObjectVideos
    seen: Mapping[str, str]
    """What identifies each object, by name."""


async def open_place(
    ledger: LedgerReader, url: str, directory: Path, sleep: Sleep
) -> tuple[VideoStore, Bucketful | None]:
    """The place of a run's videos, and what is there unless it is the run directory.

    An empty `url` stands for the run directory. A bucket must have room for a file with the run's ID: this
    shows that it can be written to, and is no other run's.

    Raises:
        UsageError: the place belongs to another run, or a library is missing.
        StorageError: it can't be used.
    """
    if not url:
        return LocalVideos(directory), None
    store = ObjectVideos(url, directory, sleep)
    await store.claim(await ledger.run_id())
    return store, Bucketful(store, await store.listing())


async def bucket_of(ledger: LedgerReader, directory: Path) -> Bucketful | None:
    """What is in the bucket of a run's videos; None if they are in the run directory. Stores nothing.

    Raises:
        UsageError: a library is missing.
        StorageError: the bucket can't be read.
    """
    url = (await ledger.binding()).videos
    if not url:
        return None
    store = ObjectVideos(url, directory, asyncio.sleep)
    return Bucketful(store, await store.listing())
