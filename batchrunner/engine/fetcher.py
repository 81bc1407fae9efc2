"""Fetches one video: download to a part file, verify, keep. It records nothing, and never submits.

What it gets and returns are plain values, so that a fetch can be carried out by another process or machine;
trying it again does no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from batchrunner.core.links import VideoSource
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import Fetched, FetchFailed, FetchOutcome, Receipt
from batchrunner.gateway import Gateway
from batchrunner.media import NotPlayable, NotWhole, VideoFacts, picture_ending
from batchrunner.media.verification import verify
from batchrunner.storage.files import PartFile
from batchrunner.storage.video_store import Identity, Kept, Taken, VideoStore

MAX_FRAME = 64 << 20
"""Maximum size of the picture of a last frame, in bytes."""


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """One video to fetch."""

    identity: Identity
    link: str
    """The model's own link; empty if there is none."""
    largest: int
    """Maximum bytes of the file, far above the size of any video for its request."""
    account: str = ""
    """The name of the account that it was submitted with: only its key may be used."""


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """The picture of a last frame to fetch."""

    link: str
    """The model's own."""
    stem: str
    """Its name without an ending, which depends on its type; relative to the run directory."""


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """A picture that is in its place."""

    name: str


class Fetches(Protocol):
    """Fetches videos: here, or on a cluster."""

    async def fetch(
        self, wanted: FetchRequest, source: VideoSource, note_hash: Callable[[str], Awaitable[None]]
    ) -> Kept | Taken | Receipt:
        """As `Fetcher.fetch`."""

    async def fetch_picture(self, wanted: PictureRequest) -> KeptPicture | Taken | Receipt:
        """As `Fetcher.fetch_picture`."""


class Fetcher:
    """Fetches videos from the gateway, or from the model's own links, and keeps them in their place."""

    def __init__(
        self, gateway: Gateway, videos: VideoStore, gateways: Mapping[str, Gateway] | None = None
    ) -> None:
        """`gateways` has the gateway as each account uses it; by default, there is only one account."""
        self._gateway, self._videos = gateway, videos
        self._gateways = {"": gateway} if gateways is None else gateways

    async def fetch(
        self, wanted: FetchRequest, source: VideoSource, note_hash: Callable[[str], Awaitable[None]]
    ) -> Kept | Taken | Receipt:
        """Fetch a video from one source; a receipt says why there is none.

        `note_hash` records the hash of the verified file before it gets its name.

        Raises:
            StorageError: the video can't be kept.
        """
        part = self._videos.part(wanted.identity.name)
        try:
            verified = await self.verified(wanted, source, part)
            if isinstance(verified, Receipt):
                return verified
            facts, sha256 = verified
            await note_hash(sha256)
            return await self._videos.keep(part, wanted.identity, facts, sha256)
        finally:
            part.discard()

    async def fetch_picture(self, wanted: PictureRequest) -> KeptPicture | Taken | Receipt:
        """Fetch the picture of a last frame and keep it; a receipt says why there is none.

        Raises:
            StorageError: the picture can't be kept.
        """
        data = bytearray()
        outcome = await self._gateway.fetch_url(wanted.link, data.extend, MAX_FRAME)
        if not isinstance(outcome, Fetched):
            return outcome.receipt
        data += outcome.rest
        try:
            name = f"{wanted.stem}{picture_ending(bytes(data))}"
            await self._videos.keep_picture(name, bytes(data))
        except NotWhole as error:
            return Receipt(message=str(error))
        except FileExistsError:
            return Taken(f"{name} already exists with another picture")
        return KeptPicture(name)

    async def verified(
        self, wanted: FetchRequest, source: VideoSource, part: PartFile
    ) -> tuple[VideoFacts, str] | Receipt:
        """Download a video to a part file and verify it there; return its properties and its hash.

        Raises:
            StorageError: the part file can't be written.
        """
        try:
            outcome = await self._download(wanted, source, part)
            if not isinstance(outcome, Fetched):
                return outcome.receipt
            return await asyncio.to_thread(part.verified, verify, outcome.rest)
        except (NotWhole, NotPlayable) as error:
            return Receipt(code="not_a_video", message=str(error))

    async def _download(self, wanted: FetchRequest, source: VideoSource, part: PartFile) -> FetchOutcome:
        if source is VideoSource.CONTENT:
            gateway = self._gateways.get(wanted.account)
            if gateway is None:
                return FetchFailed(Receipt(code="no_key", message="the key of its account is not given"))
            remote_id = wanted.identity.remote_id or RemoteId("")
            return await gateway.fetch_content(remote_id, part.write, wanted.largest)
        return await self._gateway.fetch_url(wanted.link, part.write, wanted.largest)
