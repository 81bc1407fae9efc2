"""Gets inputs that are in buckets, right before they are sent: pictures as bytes, other media as links."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from batchrunner.core.model import MediaFile
from batchrunner.core.object_url import ObjectUrl, object_url
from batchrunner.media.local_files import MediaChanged
from batchrunner.storage.bucket import Piece
from batchrunner.storage.object_errors import READING
from batchrunner.storage.object_inputs import AT_ONCE, Buckets
from batchrunner.storage.patience import StoragePatience


class StoredInputs:
    """The inputs of a run that are in buckets."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """`sleep` waits nominal seconds."""
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


def _place(url: str) -> ObjectUrl:
    place = object_url(url)
    assert place is not None  # noqa: S101  it was read when it was planned
    return place
