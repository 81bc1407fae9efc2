"""A place in each kind of object storage, with a relay before it."""

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.media import VideoFacts
from batchrunner.storage.object_videos import ObjectVideos
from batchrunner.storage.video_store import Identity, Kept, Taken
from tests.harness.object_storage import ObjectStorage, serving
from tests.harness.storage_relay import StorageRelay

FACTS = VideoFacts(4.04, 864, 496, 24.0)


@pytest.fixture(scope="session", params=["versitygw", "moto"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ObjectStorage]:
    """A server of each kind."""
    with serving(request.param, tmp_path_factory.mktemp(request.param)) as storage:
        yield storage


@pytest.fixture
def storage(server: ObjectStorage) -> Iterator[ObjectStorage]:
    """The server with an empty bucket."""
    yield server
    server.empty()


@pytest.fixture
def wire(storage: ObjectStorage) -> Iterator[StorageRelay]:
    """What is between the program and the storage."""
    relay = StorageRelay(storage.url)
    yield relay
    relay.close()


class Shelf:
    """The program's side: a place for videos, without waits."""

    facts = FACTS

    def __init__(self, videos: ObjectVideos) -> None:
        self.videos = videos

    def keep(self, content: bytes, name: str = "videos/cat.mp4", known: str | None = None) -> Kept | Taken:
        """Keep a file that was downloaded and verified."""
        part, digest = self.videos.part(name), hashlib.sha256(content).hexdigest()
        part.write(content)
        part.verified(lambda _: None)
        try:
            return asyncio.run(self.videos.keep(part, identity(name, known), FACTS, digest))
        finally:
            part.discard()

    def find(self, known: str | None = None, name: str = "videos/cat.mp4", remote: str = "task_1") -> object:
        """Look for what a killed run has kept."""
        return asyncio.run(self.videos.find(identity(name, known, remote)))


def identity(name: str, sha256: str | None, remote: str = "task_1") -> Identity:
    """What the task's video is known by."""
    return Identity(name, TaskKey("v1-abc"), RemoteId(remote), sha256)


@pytest.fixture
def shelf(
    storage: ObjectStorage, wire: StorageRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shelf:
    """The program's side, through the relay."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in storage.environment(wire.url).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "videos").mkdir()
    return Shelf(ObjectVideos(storage.place, tmp_path, lambda _: asyncio.sleep(0)))
