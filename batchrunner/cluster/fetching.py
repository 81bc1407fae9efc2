"""What a worker of the cluster does for a run: fetch one video from its link, verify it, keep or leave it.

It has no key and records nothing; to do it again, even at the same time elsewhere, does no harm.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from batchrunner.cluster.probing import sees
from batchrunner.core.errors import BatchrunnerError
from batchrunner.core.file_names import VIDEOS
from batchrunner.core.links import VideoSource
from batchrunner.core.outcome import Receipt
from batchrunner.engine.cluster_messages import NotHere
from batchrunner.engine.fetch_messages import (
    ClusterSetup,
    FetchAnswer,
    LeftPart,
    answer_line,
    read_request,
)
from batchrunner.engine.fetcher import Fetcher, FetchRequest, PictureRequest
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings
from batchrunner.storage.local_videos import LocalVideos
from batchrunner.storage.object_videos import ObjectVideos

LONGEST_WAIT = 5.0
"""Seconds to wait for a storage that doesn't answer; after that, the run's own machine tries."""


def fetch_line(setup: str, request: str) -> str:
    """Fetch the video, or the picture, of one request; return the answer. All three are lines of JSON.

    Errors are part of the answer, so that the cluster repeats only what was lost with a node.
    """
    number, wanted = read_request(request)
    try:
        answer: FetchAnswer | NotHere = asyncio.run(_fetched(ClusterSetup.read(setup), wanted))
    except (BatchrunnerError, OSError) as error:
        answer = NotHere(f"{type(error).__name__}: {error}")
    return answer_line(number, answer)


async def _fetched(setup: ClusterSetup, wanted: FetchRequest | PictureRequest) -> FetchAnswer | NotHere:
    settings = GatewaySettings(setup.gateway, insecure=True)  # nothing is sent there
    async with Gateway.open(settings, ApiKey("no-key-on-workers", "a worker")) as gateway:
        if setup.videos:
            return await _stored(setup, wanted, gateway)
        if not sees(Path(setup.directory) / VIDEOS, setup.probe):
            return NotHere("a worker doesn't see the run directory; store the videos in a bucket")
        if isinstance(wanted, PictureRequest):
            return await Fetcher(gateway, LocalVideos(Path(setup.directory))).fetch_picture(wanted)
        return await _left(setup, wanted, gateway)


async def _stored(
    setup: ClusterSetup, wanted: FetchRequest | PictureRequest, gateway: Gateway
) -> FetchAnswer:
    """Store the video or picture in the bucket, with this worker's own credentials.

    The object's metadata says whose it is: a run that is killed before it hears of it finds it there.
    """
    with tempfile.TemporaryDirectory(prefix="batchrunner-") as folder:
        videos = ObjectVideos(setup.videos, Path(folder), _wait)
        if isinstance(wanted, PictureRequest):
            return await Fetcher(gateway, videos).fetch_picture(wanted)
        (Path(folder) / wanted.identity.name).parent.mkdir(parents=True, exist_ok=True)
        return await Fetcher(gateway, videos).fetch(wanted, VideoSource.LINK, _note_nothing)


async def _left(setup: ClusterSetup, wanted: FetchRequest, gateway: Gateway) -> FetchAnswer:
    """Leave a verified part file beside the place of the video."""
    videos = LocalVideos(Path(setup.directory))
    part = videos.part(wanted.identity.name)
    try:
        verified = await Fetcher(gateway, videos).verified(wanted, VideoSource.LINK, part)
        if isinstance(verified, Receipt):
            return verified
        facts, sha256 = verified
        size = part.path.stat().st_size
        part.leave()
        return LeftPart(part.path.name, facts, sha256, size)
    finally:
        part.discard()


async def _wait(seconds: float) -> None:
    if seconds > LONGEST_WAIT:
        raise TimeoutError("the storage doesn't answer")
    await asyncio.sleep(seconds)


async def _note_nothing(_: str) -> None:
    """Only the deciding process writes to the ledger."""
