"""Gets inputs that are in buckets, right before they are sent: pictures as bytes, other media as links.

Videos and sounds on this machine are stored in the bucket of the run's videos: the model needs a link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from batchrunner.core.model import MediaFile
from batchrunner.core.object_url import ObjectUrl, object_url
from batchrunner.core.video_url import is_in_bucket
from batchrunner.media.clip_files import stored_name
from batchrunner.media.local_files import MediaChanged, as_planned
from batchrunner.storage.bucket import Piece
from batchrunner.storage.object_errors import READING
from batchrunner.storage.object_inputs import AT_ONCE, Buckets
from batchrunner.storage.object_uploads import ObjectUploads
from batchrunner.storage.patience import StoragePatience


class StoredInputs:
    """The inputs of a run that are in buckets."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]], videos: str = "") -> None:
        """`sleep` waits nominal seconds; `videos` is the URL of the place of the run's videos.

        Raises:
            UsageError: this is in a bucket, which can't be used.
        """
        self._uploads = ObjectUploads(videos, sleep) if is_in_bucket(videos) else None
        self._buckets, self._sleep, self._at_once = Buckets(), sleep, asyncio.Semaphore(AT_ONCE)

    async def content(self, picture: MediaFile) -> bytes:
        """The content of a planned picture, which may have changed.

        Raises:
            MediaChanged: it is gone, or has another size.
            StorageError: its bucket can't be read.
        """
        place = _place(picture.path)
        bucket = self._buckets.of(place)

        async def read() -> Piece | None:
            async with self._at_once:
                return await bucket.beginning(place.key, lambda _, size: size == picture.size)

        piece = await StoragePatience(place.bucket, READING, self._sleep)(read)
        if piece is None:
            raise MediaChanged(f"{picture.shown} is no longer in its bucket")
        return piece.data

    async def link(self, url: str) -> str:
        """A link to a video or sound by which the model can read it. It is a secret.

        Raises:
            StorageError: none can be made.
        """
        place = _place(url)
        return await StoragePatience(place.bucket, READING, self._sleep)(
            partial(self._buckets.of(place).link, place.key)
        )

    async def link_to_file(self, clip: MediaFile) -> str:
        """A link to a local video or sound, which is stored unless it is there. It is a secret.

        Raises:
            MediaChanged: the file is not as it was planned, or can't be stored.
            StorageError: the bucket can't be used.
        """
        if self._uploads is None:
            raise MediaChanged(f"{clip.shown} can't be sent: the videos of this run are not in a bucket")
        name = stored_name(clip)
        link = await self._uploads.link(name, clip.sha256, partial(as_planned, clip))
        if not link:
            raise MediaChanged(f"{clip.shown} can't be sent: {self._uploads.url}/{name} has another content")
        return link


def _place(url: str) -> ObjectUrl:
    place = object_url(url)
    assert place is not None  # noqa: S101  it was read when it was planned
    return place
