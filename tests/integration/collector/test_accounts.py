"""Several accounts: a video is fetched with the key of its own account, or with none."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from batchrunner.core.links import VideoSource
from batchrunner.core.model import RemoteId, TaskKey
from batchrunner.core.outcome import FetchFailed, Receipt
from batchrunner.engine.fetcher import Fetcher, FetchRequest
from batchrunner.storage.local_videos import LocalVideos
from batchrunner.storage.video_store import Identity


def asked(folder: Path, account: str) -> tuple[list[str], Any]:
    """Which accounts were asked for the video of a task of this one, and what came of it."""
    by: list[str] = []

    def gateway(name: str) -> Any:
        async def fetch_content(*_: object) -> FetchFailed:
            by.append(name)
            return FetchFailed(Receipt(404))

        return SimpleNamespace(fetch_content=fetch_content)

    gateways = {name: gateway(name) for name in ("first", "second")}
    (folder / "videos").mkdir(exist_ok=True)
    fetcher = Fetcher(gateways["first"], LocalVideos(folder), gateways)
    identity = Identity("videos/a.mp4", TaskKey("1-a"), RemoteId("task_1"), None)
    wanted = FetchRequest(identity, "", 1000, account)

    async def note(_: str) -> None:
        raise AssertionError("there is no video")

    return by, asyncio.run(fetcher.fetch(wanted, VideoSource.CONTENT, note))


def test_a_video_is_fetched_with_the_key_of_its_account(tmp_path: Path) -> None:
    """Whatever the order of the accounts."""
    assert asked(tmp_path, "first")[0] == ["first"]
    assert asked(tmp_path, "second")[0] == ["second"]


def test_no_other_key_is_used_for_an_account_that_is_missing(tmp_path: Path) -> None:
    """Nobody is asked, and nothing follows for the video itself."""
    by, receipt = asked(tmp_path, "third")
    assert by == []
    assert receipt.code == "no_key"
