"""What a task needs of another one, as it is sent: never a picture or a link that isn't the right one."""

from __future__ import annotations

import asyncio
import base64
import io
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from batchrunner.clock import Clock
from batchrunner.core.model import Fit, Part, TaskKey, TaskOutput
from batchrunner.engine.task_outputs import OutputMissing, TaskOutputs
from batchrunner.ledger import LEDGER_NAME, Ledger
from batchrunner.media import last_frame
from batchrunner.storage.local_videos import LocalVideos
from tests.harness.finished_runs import Made, finished_run

GATEWAY = "https://gateway.example"
LINK = "https://files.example/a.mp4?signature=x"


def jpeg(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="module")
def video() -> bytes:
    """Eight frames, the last one white."""

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(8):
            grey = 255 if number == 7 else 16 * number
            frame = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (grey, grey, grey)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def noise_video() -> bytes:
    """One frame that no PNG makes small."""
    file = io.BytesIO()
    noise = Image.frombytes("RGB", (200, 200), random.Random(1).randbytes(200 * 200 * 3))
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 200, 200, "yuv444p"
        container.mux(stream.encode(av.VideoFrame.from_image(noise)))
        container.mux(stream.encode())
    return file.getvalue()


@pytest.fixture
def made(tmp_path: Path, video: bytes) -> Made:
    """A finished task in a run directory."""
    task = Made("ant", "ant", video)
    finished_run(tmp_path, [task])
    return task


def address(
    folder: Path, task: Made, part: Part, gateway: str = GATEWAY, most: int = 10**7, **facts: Any
) -> str:
    """What is sent for a part of the task, of whose attempt these facts are known."""
    with closing(sqlite3.connect(folder / LEDGER_NAME)) as db, db:
        for name, value in facts.items():
            db.execute(f"UPDATE attempts SET {name} = ?", (value,))

    async def asked() -> str:
        async with Ledger.open(folder) as ledger:
            outputs = TaskOutputs(ledger, folder, LocalVideos(folder), Clock(), gateway, Fit(6000, most), {})
            return await outputs.address(TaskOutput(TaskKey(task.key), part, "task:ant/…"))

    return asyncio.run(asked())


def content(uri: str) -> tuple[str, bytes]:
    """The type and the bytes of a data URI."""
    head, _, data = uri.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data)


def test_the_gateways_own_picture_is_sent_as_it_is(tmp_path: Path, made: Made) -> None:
    """It is the original, and shows what the video ends with."""
    (tmp_path / "videos" / "ant-last-frame.jpg").write_bytes(jpeg("white"))
    uri = address(tmp_path, made, Part.LAST_FRAME, last_frame_file="videos/ant-last-frame.jpg")
    assert content(uri) == ("image/jpeg", jpeg("white"))


@pytest.mark.parametrize("kept", [None, b"", b"\xff\xd8\xff cut off", jpeg("red"), jpeg("white", (32, 48))])
def test_without_a_whole_picture_the_last_frame_comes_from_the_video(
    tmp_path: Path, made: Made, kept: bytes | None
) -> None:
    """There is none, or it is gone, damaged, replaced or of another size: the video's very last frame."""
    if kept is not None:
        (tmp_path / "videos" / "ant-last-frame.jpg").write_bytes(kept)
    uri = address(tmp_path, made, Part.LAST_FRAME, last_frame_file="videos/ant-last-frame.jpg")
    kind, data = content(uri)
    assert kind == "image/png"
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (64, 48)
        assert min(picture.convert("L").tobytes()) > 240


def test_a_video_that_has_changed_is_not_used(tmp_path: Path, made: Made, video: bytes) -> None:
    """Its last frame may be anything: nothing is sent, and the message names the file."""
    (tmp_path / "videos" / "ant.mp4").write_bytes(video + b"\0\0\0\x08free")
    with pytest.raises(OutputMissing, match=r"videos/ant\.mp4, which has changed"):
        address(tmp_path, made, Part.LAST_FRAME)
    (tmp_path / "videos" / "ant.mp4").unlink()
    with pytest.raises(OutputMissing, match=r"videos/ant\.mp4, which is missing"):
        address(tmp_path, made, Part.LAST_FRAME)


def test_a_picture_that_is_too_large_is_made_smaller(tmp_path: Path, made: Made) -> None:
    """Above what the model accepts, a PNG becomes a JPEG."""
    noisy = Made("noisy", "noisy", noise_video())
    finished_run(tmp_path, [noisy])
    kind, data = content(address(tmp_path, noisy, Part.LAST_FRAME, most=60_000))
    assert kind == "image/jpeg"
    assert len(data) <= 60_000 < len(content(address(tmp_path, noisy, Part.LAST_FRAME))[1])


@pytest.mark.parametrize(
    ("link", "age", "gateway", "wrong"),
    [
        (LINK, 19.9, GATEWAY, ""),
        (LINK, 20.1, GATEWAY, "older than 20 hours"),
        (None, 1.0, GATEWAY, "none is known"),
        ("https://127.0.0.1/a.mp4", 1.0, GATEWAY, "private network"),
        ("https://10.1.2.3:8443/a.mp4", 1.0, GATEWAY, "private network"),
        ("http://127.0.0.1:9000/a.mp4", 1.0, "http://127.0.0.1:8000", ""),
        (f"{GATEWAY}/v1/videos/task_1/content", 1.0, GATEWAY, "only your key opens"),
        (f"{GATEWAY}/files/a.mp4", 1.0, GATEWAY, ""),
        ("https://other.example/v1/videos/task_1/content", 1.0, GATEWAY, "only your key opens"),
        ("https://[bad", 1.0, GATEWAY, "not a complete address"),
        ("https://cdn.example:99999/x.mp4", 1.0, GATEWAY, "not a complete address"),
        ("https:///x.mp4", 1.0, GATEWAY, "not a complete address"),
        ("https://cdn.example/x.mp4?token=sk-***", 1.0, GATEWAY, "not a complete address"),
        ("https://cdn.example/a b.mp4", 1.0, GATEWAY, "not a complete address"),
        ("https://bob:hunter22@cdn.example/x.mp4", 1.0, GATEWAY, "user name or a password"),
        ("http://2130706433/x.mp4", 1.0, GATEWAY, "private network"),
    ],
)
def test_only_a_link_that_the_model_can_read_is_sent(
    tmp_path: Path, made: Made, link: str | None, age: float, gateway: str, wrong: str
) -> None:
    """Fresh, public unless the gateway is private itself, and not one that needs the key."""
    facts = {"result_url": link, "finished_at": time.time() - age * 3600}
    if not wrong:
        assert address(tmp_path, made, Part.VIDEO, gateway, **facts) == link
        return
    with pytest.raises(OutputMissing, match=wrong) as caught:
        address(tmp_path, made, Part.VIDEO, gateway, **facts)
    assert (caught.value.code == "link_expired") == ("hours" in wrong or "none is known" in wrong)


def test_what_is_not_done_is_not_used(tmp_path: Path, made: Made) -> None:
    """A video that is to be made again is no longer the one that is meant."""
    with closing(sqlite3.connect(tmp_path / LEDGER_NAME)) as db, db:
        db.execute("UPDATE tasks SET state = 'pending'")
    with pytest.raises(OutputMissing, match="needs ant, which is pending"):
        address(tmp_path, made, Part.LAST_FRAME)


def test_the_last_frame_is_the_last(tmp_path: Path, video: bytes) -> None:
    """Not the one before it, which is dark."""
    (tmp_path / "a.mp4").write_bytes(video)
    with Image.open(io.BytesIO(last_frame(tmp_path / "a.mp4"))) as picture:
        assert min(picture.convert("L").tobytes()) > 240
