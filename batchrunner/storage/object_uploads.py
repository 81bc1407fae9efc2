"""Stores local videos and sounds that are inputs in the bucket of a run's videos, each once.

An object is named after its hash, which is in its metadata as well. Nothing is overwritten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from batchrunner.storage.bucket import Bucket, Found
from batchrunner.storage.object_errors import UPLOADING, Unavailable
from batchrunner.storage.object_videos import SHA256
from batchrunner.storage.patience import StoragePatience


class ObjectUploads:
    """The inputs below one prefix of a bucket."""

    def __init__(self, url: str, sleep: Callable[[float], Awaitable[None]]) -> None:
        """`sleep` waits nominal seconds.

        Raises:
            UsageError: the library is not installed, or can't use the URL.
        """
        self.url = url
        self._bucket, self._patiently = Bucket(url, UPLOADING), StoragePatience(url, UPLOADING, sleep)
        self._turn = asyncio.Lock()

    async def link(self, name: str, sha256: str, content: Callable[[], bytes]) -> str:
        """A link to an object by which the model can read it for some days. It is a secret.

        The object is stored unless it is there; `content` returns its bytes, in a thread. The link is empty
        if another content has its name.

        Raises:
            StorageError: it can't be stored, or no link can be made.
        """
        found = await self._patiently(partial(self._bucket.look, name))
        if found is None:
            async with self._turn:  # one content at a time is in memory
                found = await self._patiently(partial(self._stored, name, sha256, content))
        known = found.metadata.get(SHA256) or await self._patiently(partial(self._bucket.sha256, name))
        return await self._patiently(partial(self._bucket.link, name)) if known == sha256 else ""

    async def _stored(self, name: str, sha256: str, content: Callable[[], bytes]) -> Found:
        if found := await self._bucket.look(name):
            return found
        await self._bucket.put(name, await asyncio.to_thread(content), {SHA256: sha256})
        if found := await self._bucket.look(name):
            return found
        raise Unavailable("what was stored is not there")
