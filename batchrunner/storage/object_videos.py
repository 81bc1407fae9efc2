"""Keeps finished videos in an object storage: one PUT, checked by the server, then read back.

An object is whole or not there. Its metadata says which video it is, so that a look settles what a run that
was killed between PUT and commit has stored. Nothing is ever overwritten: a name is looked up before each
PUT, and the PUT itself is conditional. What counts is what is found there afterwards, as servers answer
conditional PUTs, and clients retry them, in different ways.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.file_names import RUN_ID_NAME, VIDEOS
from batchrunner.media import VideoFacts
from batchrunner.storage.aws import abort_uploads
from batchrunner.storage.bucket import Bucket, Found
from batchrunner.storage.files import PartFile
from batchrunner.storage.object_errors import STORING, Unavailable
from batchrunner.storage.patience import AT_START, StoragePatience
from batchrunner.storage.video_store import Identity, Kept, Taken

SHA256, REMOTE_ID, FINGERPRINT, FACTS = "sha256", "remoteid", "fingerprint", "video"
"""The metadata of an object. Azure allows no dashes in these names, and some proxies no underscores."""
_ANOTHER = Taken("it is not the video that was downloaded")


class ObjectVideos:
    """The videos of one run below a prefix of a bucket; part files are in the run directory."""

    def __init__(self, url: str, directory: Path, sleep: Callable[[float], Awaitable[None]]) -> None:
        """`sleep` waits nominal seconds.

        Raises:
            UsageError: the library is not installed, or can't use the URL.
        """
        self.url, self._directory = url, directory
        self._bucket, self._patiently = Bucket(url), StoragePatience(url, STORING, sleep)

    @property
    def trouble(self) -> str:
        """Why the storage can't be used at the moment; empty if it can."""
        return self._patiently.trouble

    def part(self, name: str) -> PartFile:
        """A part file in the run directory."""
        return PartFile(self._directory / name)

    async def find(self, wanted: Identity) -> Kept | Taken | None:
        """The object that a killed run stored, known by its metadata; nothing is downloaded."""
        found = await self._patiently(partial(self._bucket.look, wanted.name))
        if found is None:
            return None
        facts, sha256 = _facts(found.metadata), found.metadata.get(SHA256)
        if facts is None or sha256 is None:
            return None  # stored by something else: the download shows whether it is the same video
        if wanted.sha256 is not None and sha256 != wanted.sha256:
            return _ANOTHER
        if wanted.sha256 is None and found.metadata.get(REMOTE_ID) != _ascii(wanted.remote_id or ""):
            return None
        return Kept(facts, sha256, found.size, found.seen)

    async def keep(self, part: PartFile, wanted: Identity, facts: VideoFacts, sha256: str) -> Kept | Taken:
        """Store the part file as an object, unless one has its name, and look what is there then."""
        return await self._patiently(partial(self._keep_once, part.path, wanted, facts, sha256))

    async def keep_picture(self, name: str, data: bytes) -> None:
        """Store the picture, unless it is there."""
        sha256 = hashlib.sha256(data).hexdigest()
        found = await self._patiently(partial(self._stored, name, data, {SHA256: sha256}))
        if found.metadata.get(SHA256) != sha256:
            raise FileExistsError(17, "the name is taken", name)

    @asynccontextmanager
    async def copy(self, name: str) -> AsyncIterator[Path]:
        """A copy of an object on the local disk, which is removed at the end."""

        async def fetched() -> PartFile:
            part = self.part(name)
            try:
                await self._bucket.fetch(name, part.write)
            except BaseException:
                part.discard()
                raise
            return part

        part = await self._patiently(fetched)
        try:
            yield part.path
        finally:
            part.discard()

    async def link(self, name: str, sha256: str | None) -> str:
        """A link to the object; empty if it is not there, or another video has its name."""
        found = await self._patiently(partial(self._bucket.look, name))
        if found is None or sha256 is None:
            return ""
        known = found.metadata.get(SHA256) or await self._patiently(partial(self._bucket.sha256, name))
        return await self._patiently(partial(self._bucket.link, name)) if known == sha256 else ""

    async def listing(self) -> dict[str, str]:
        """What identifies each object that has the name of a video, by name."""
        return await self._patiently(partial(self._bucket.listing, VIDEOS), AT_START)

    def sha256_now(self, name: str) -> str:
        """The hash in an object's metadata, empty if there is none; waits for one answer.

        Raises:
            StorageError: there is no answer.
        """
        return self._bucket.metadata_now(name).get(SHA256, "")

    async def claim(self, run_id: str) -> None:
        """Store the run's ID beside its videos, before anything is paid for: this shows that it can write.

        Parts of videos that a killed run was storing are removed.

        Raises:
            UsageError: the videos there belong to another run directory.
            StorageError: nothing can be stored there.
        """
        name, mine = f"{VIDEOS}/{RUN_ID_NAME}", f"{run_id}\n".encode()

        async def store() -> bytes | None:
            there = await self._bucket.read(name)
            if there in (None, mine):
                await self._bucket.put(name, mine, {}, overwrites=there is not None)
            return await self._bucket.read(name)

        if await self._patiently(store, AT_START) != mine:
            raise UsageError(
                f"the videos at {self.url} belong to another run directory",
                "use that run directory to resume, or another prefix for this one",
            )
        if self.url.startswith("s3:"):  # others remove the parts of unfinished uploads by themselves
            await asyncio.to_thread(abort_uploads, self.url, VIDEOS)

    async def _keep_once(self, path: Path, wanted: Identity, facts: VideoFacts, sha256: str) -> Kept | Taken:
        await asyncio.to_thread(_check_hash, path, sha256)
        metadata = {
            SHA256: sha256,
            REMOTE_ID: _ascii(wanted.remote_id or ""),
            FINGERPRINT: wanted.fingerprint,
            FACTS: f"{facts.duration} {facts.width} {facts.height} {facts.fps}",
        }
        found = await self._stored(wanted.name, path, metadata)
        known = found.metadata.get(SHA256) or await self._bucket.sha256(wanted.name)
        is_ours = known == sha256 and found.size == path.stat().st_size
        return Kept(facts, sha256, found.size, found.seen) if is_ours else _ANOTHER

    async def _stored(self, name: str, content: bytes | Path, metadata: dict[str, str]) -> Found:
        """Store an object unless there is one; return what is there then."""
        if found := await self._bucket.look(name):
            return found
        await self._bucket.put(name, content, metadata)
        if found := await self._bucket.look(name):
            return found
        raise Unavailable("what was stored is not there")


def _check_hash(path: Path, sha256: str) -> None:
    """Check that the disk still returns what was verified.

    Raises:
        StorageError: it doesn't.
    """
    hint = "check the disk of the run directory, then run the same command again; no paid video is lost"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise StorageError(f"can't read {path}: {error.strerror}", hint) from error
    if digest != sha256:
        raise StorageError(f"{path} has changed since it was written", hint)


def _ascii(text: str) -> str:
    """A value that can be metadata: it consists of ASCII characters."""
    return quote(text, safe="")


def _facts(metadata: dict[str, str]) -> VideoFacts | None:
    """The properties of a video in its object's metadata; None if they are not there."""
    try:
        duration, width, height, fps = metadata[FACTS].split(" ")
        return VideoFacts(float(duration), int(width), int(height), float(fps))
    except (KeyError, ValueError):
        return None
