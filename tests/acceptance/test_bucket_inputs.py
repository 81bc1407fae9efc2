"""Inputs in buckets: what is sent for them, what is paid again, and that no signature is kept anywhere."""

import base64
import hashlib
import io
import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, build_opener

import pytest
from PIL import Image

from tests.harness.object_storage import ACCESS_KEY, SECRET_KEY, ObjectStorage
from tests.harness.run_directory import files_with
from tests.harness.storage_relay import HeldRequest, passes, refuses

BOAT = (Path(__file__).parents[2] / "manifests" / "media" / "boat.jpg").read_bytes()
CLIP = b"\0\0\0\x18ftypmp42" + b"\0" * 5000
SECRETS = (ACCESS_KEY, SECRET_KEY, "X-Amz-Signature", "X-Amz-Credential")


def boat(number: int) -> bytes:
    """One of several pictures with the same look and different contents."""
    return BOAT + b"\0" * number


def small() -> bytes:
    """A picture that is too small for the model."""
    data = io.BytesIO()
    Image.new("RGB", (100, 100)).save(data, "PNG")
    return data.getvalue()


def shows(task_id: str, url: str) -> dict[str, Any]:
    """A task that begins with a picture."""
    return {"id": task_id, "prompt": f"{task_id} moves", "image": url}


def refers(task_id: str, url: str) -> dict[str, Any]:
    """A task that has a video as its reference."""
    item = {"type": "video_url", "role": "reference_video", "video_url": {"url": url}}
    return {"id": task_id, "prompt": f"{task_id} moves", "metadata": {"content": [item]}}


def data_uri_hash(picture: bytes) -> str:
    """The SHA-256 of a JPEG as a data URI, by which the charge book knows it."""
    uri = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    return hashlib.sha256(uri.encode()).hexdigest()


def sent(sim: Any, task_id: str) -> list[Any]:
    """What was sent for a task as its inputs, for each time that it was paid for."""
    return [media["url"] for charge in sim.charges(task_id) for media in charge["media"]]


def check_silent(desk: Any, *ended: Any) -> None:
    """Neither credentials nor signatures are in any file, or were printed."""
    for secret in SECRETS:
        assert files_with(secret, desk.folder) == []
        for one in ended:
            assert secret not in one.stdout + one.stderr


def fetched(link: str) -> bytes:
    """What the model gets by a link."""
    with build_opener(ProxyHandler({})).open(link) as answer:
        return bytes(answer.read())


def test_pictures_are_sent_as_those_on_the_disk(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """As data URIs: in `image`, `images`, `content`, and from a pattern, in the order of their names."""
    sim.start()
    for number in (1, 2, 10):
        storage.write(f"photos/我的 猫/p{number}.jpg", boat(number))
    storage.write("photos/我的 猫/.hidden.jpg", b"no picture")
    storage.write("photos/我的 猫/notes.txt", b"no picture")
    place = f"{storage.place}/photos/我的 猫"
    item = {"type": "image_url", "role": "reference_image", "image_url": {"url": f"{place}/p10.jpg"}}
    desk.write(
        {"files": f"{place}/*.jpg", "image": "${file}", "prompt": "${stem} moves"},
        shows("ant", f"{place}/p1.jpg"),
        {"id": "bee", "prompt": "bee moves", "images": [f"{place}/p2.jpg"]},
        {"id": "cat", "prompt": "cat moves", "metadata": {"content": [item]}},
    )
    ended = desk.run()
    assert ended.code == 0, ended.stderr
    rows = desk.rows()
    assert [row["id"] for row in rows] == ["p1", "p2", "p10", "ant", "bee", "cat"]
    assert [row["inputs"] for row in rows[:4]] == [f"{place}/p{number}.jpg" for number in (1, 2, 10, 1)]
    for task_id, number in (("p1", 1), ("p10", 10), ("ant", 1), ("bee", 2), ("cat", 10)):
        (media,) = sent(sim, task_id)
        assert media["sha256"] == data_uri_hash(boat(number))
    assert len(sim.charges()) == 6
    check_silent(desk, ended)


def test_identity_is_the_content_of_a_picture(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """Renamed or on the disk, it is the same task; another content under its name is another one."""
    sim.start()
    storage.write("a.jpg", boat(1))
    storage.write("b.jpg", boat(1))
    (desk.folder / "c.jpg").write_bytes(boat(1))
    for where in (f"{storage.place}/a.jpg", f"{storage.place}/b.jpg", "c.jpg"):
        desk.write(shows("ant", where))
        assert desk.run().code == 0
    assert len(sim.charges()) == 1
    storage.write("a.jpg", boat(2))
    desk.write(shows("ant", f"{storage.place}/a.jpg"))
    assert desk.run().code == 0
    assert [media["sha256"] for media in sent(sim, "ant")] == [data_uri_hash(boat(1)), data_uri_hash(boat(2))]


def test_a_start_does_not_read_what_it_knows(desk: Any, storage: ObjectStorage, wire: Any) -> None:
    """Listed pictures are not even looked at, named ones are; one that was changed is read again."""
    for number in range(9):
        storage.write(f"photos/{number}.jpg", boat(number))
    storage.write("one.jpg", boat(9))
    tasks = (
        {"files": f"{storage.place}/photos/*.jpg", "image": "${file}", "prompt": "it moves"},
        shows("ant", f"{storage.place}/one.jpg"),
    )
    desk.write(*tasks)

    def asked() -> tuple[int, int]:
        before = wire.count("GET", ".jpg"), wire.count("HEAD", ".jpg")
        assert desk.do("validate", "batch.yaml").code == 0
        return wire.count("GET", ".jpg") - before[0], wire.count("HEAD", ".jpg") - before[1]

    assert asked() == (10, 0)
    assert asked() == (0, 1)
    storage.write("photos/4.jpg", boat(44))
    storage.write("one.jpg", boat(99))
    assert asked() == (2, 1)
    assert asked() == (0, 1)


def test_bucket_that_cant_be_read_is_one_error(desk: Any, sim: Any, storage: Any, wire: Any) -> None:
    """It names the place in the manifest and what to do, without secrets; nothing is paid."""
    sim.start()
    desk.write(*(shows(f"ant-{number}", f"{storage.place}/{number}.jpg") for number in range(40)))
    wire.rule("GET", ".jpg", refuses(403, "AccessDenied", f"{ACCESS_KEY} {SECRET_KEY}"))
    ended = desk.run()
    assert (ended.code, sim.charges()) == (2, [])
    (line,) = [line for line in ended.stderr.splitlines() if "error:" in line]
    assert line.startswith("batch.yaml:")
    assert "can't read s3://films: HTTP 403 AccessDenied" in line
    assert "= check the storage, its address and the credentials" in ended.stderr
    assert wire.count("GET", ".jpg") < 40, "it went on asking"
    check_silent(desk, ended)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("gone.jpg", None, "file not found"),
        ("a.jpg", b"", "is empty"),
        ("a.jpg", b"hello", "is not a picture format"),
        ("a.jpg", BOAT[:9000], "can't be decoded"),
        ("small.png", small(), "each side must have"),
    ],
)
def test_picture_that_cant_be_sent(
    desk: Any, sim: Any, storage: Any, name: str, content: bytes | None, why: str
) -> None:
    """The rules are those for local files, and each fault is reported at its place."""
    sim.start()
    if content is not None:
        storage.write(name, content)
    desk.write(shows("ant", f"{storage.place}/{name}"))
    ended = desk.run()
    assert (ended.code, sim.charges()) == (2, [])
    assert f"{storage.place}/{name}" in ended.stderr
    assert why in ended.stderr
    assert "batch.yaml:" in ended.stderr


def test_picture_that_changes_before_it_is_sent_is_not_paid_for(
    desk: Any, sim: Any, storage: ObjectStorage, wire: Any
) -> None:
    """What was planned is what is sent; the next run plans the new content."""
    sim.start()
    storage.write("a.jpg", boat(1))

    def then_changed(exchange: Any) -> None:
        passes(exchange)
        storage.write("a.jpg", boat(2))

    wire.rule("GET", "a.jpg", then_changed, times=1)
    desk.write(shows("ant", f"{storage.place}/a.jpg"))
    assert desk.run().code == 1
    assert (desk.row("ant")["error_code"], sim.charges()) == ("unsendable", [])
    assert desk.run().code == 0
    (media,) = sent(sim, "ant")
    assert media["sha256"] == data_uri_hash(boat(2))


def test_outage_delays_what_is_sent(desk: Any, sim: Any, storage: ObjectStorage, wire: Any) -> None:
    """503 for a while, after the plan was made: the task waits, and is paid for once."""
    sim.start()
    storage.write("a.jpg", boat(1))
    wire.rule("GET", "a.jpg", passes, times=1)
    wire.rule("GET", "a.jpg", refuses(503, "SlowDown"), times=7)
    desk.write(shows("ant", f"{storage.place}/a.jpg"))
    assert desk.run().code == 0
    assert len(sim.charges()) == 1


def test_refused_when_it_is_to_be_sent_ends_with_5(
    desk: Any, sim: Any, storage: ObjectStorage, wire: Any
) -> None:
    """Nothing is paid for what can't be read; the same command resumes."""
    sim.start()
    storage.write("a.jpg", boat(1))
    wire.rule("GET", "a.jpg", passes, times=1)
    wire.rule("GET", "a.jpg", refuses(403, "ExpiredToken", f"{ACCESS_KEY} {SECRET_KEY}"))
    desk.write(shows("ant", f"{storage.place}/a.jpg"))
    ended = desk.run()
    assert (ended.code, sim.charges()) == (5, [])
    assert "can't read s3://films: HTTP 403 ExpiredToken" in ended.stdout + ended.stderr
    wire.clear()
    assert desk.run().code == 0
    assert len(sim.charges()) == 1
    check_silent(desk, ended)


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_ended_while_a_picture_is_read(
    desk: Any, sim: Any, storage: ObjectStorage, wire: Any, kill: bool
) -> None:
    """Ctrl-C doesn't wait for the storage, and nothing was begun that must be settled."""
    sim.start()
    storage.write("a.jpg", boat(1))
    wire.rule("GET", "a.jpg", passes, times=1)
    hold = HeldRequest()
    wire.rule("GET", "a.jpg", hold, times=1)
    desk.write(shows("ant", f"{storage.place}/a.jpg"))
    command = desk.start_run()
    hold.reached()
    if kill:
        command.killed()
    else:
        command.send(signal.SIGINT)
        assert command.ended().code == 130
    hold.drop()
    assert sim.charges() == []
    assert desk.run().code == 0
    assert len(sim.charges()) == 1


def submitted_link(exchanges: list[bytes]) -> str:
    """The link to the video in the last request."""
    (item,) = json.loads(exchanges[-1])["metadata"]["content"]
    return str(item["video_url"]["url"])


def test_input_video_is_sent_as_a_link_that_is_kept_nowhere(
    desk: Any, sim: Any, relay: Any, storage: ObjectStorage, bodies: list[bytes]
) -> None:
    """The model can read it for three days. Files and output have its address in the bucket."""
    sim.start()
    storage.write("clip.mp4", CLIP)
    address = f"{storage.place}/clip.mp4"
    desk.write(refers("ant", address))

    def repeats_the_link(answer: dict[str, Any]) -> None:
        link = submitted_link(bodies)
        answer["data"]["properties"] = {"input": link}
        answer["data"]["fail_reason"] = f"Error while downloading video {link}"
        answer["data"]["data"]["content_in"] = [link]

    relay.rule("poll", relay.changed(repeats_the_link))
    through = ("--base-url", relay.url)
    first = desk.run(*through)
    assert first.code == 0, first.stderr
    link = submitted_link(bodies)
    assert link.startswith(f"{storage.url}/films/tonight/clip.mp4?")
    assert fetched(link) == CLIP
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == [str(72 * 3600)]
    assert desk.row("ant")["inputs"] == address
    again = desk.run(*through)
    assert "nothing to do" in again.stdout
    relay.clear()
    relay.rule(
        "submit", lambda exchange: (bodies.append(exchange.body), fails(exchange, submitted_link(bodies)))
    )
    desk.write(refers("ant", address), refers("bee", address) | {"prompt": "bee fails"})
    failed = desk.run(*through)
    assert failed.code == 1
    assert "clip.mp4?…" in desk.row("bee")["error_message"]
    shown = [
        desk.do("status", "batch.run", "bee"),
        desk.do("status", "batch.run", "--json"),
        desk.do("plan", "batch.yaml", "--tasks"),
        desk.do("validate", "batch.yaml"),
        desk.do("results", "batch.run", "--json"),
        desk.do("report", "batch.run"),
        desk.do("export", "batch.run", "--format", "webdataset", "-o", "set"),
    ]
    check_silent(desk, first, again, failed, *shown)


def fails(exchange: Any, link: str) -> None:
    """The gateway's rejection, which repeats the link."""
    upstream = {"error": {"code": "InvalidParameter", "message": f"can't download {link}"}}
    body = {"code": "fail_to_fetch_task", "message": json.dumps(upstream), "data": None}
    exchange.send(400, {"Content-Type": "application/json"}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("content", "why"), [(None, "file not found"), (b"", "is empty"), (b"no video at all", "is not a video")]
)
def test_input_video_that_cant_be_sent(
    desk: Any, sim: Any, storage: ObjectStorage, content: bytes | None, why: str
) -> None:
    """Its beginning is looked at before anything is paid for."""
    sim.start()
    if content is not None:
        storage.write("clip.mp4", content)
    desk.write(refers("ant", f"{storage.place}/clip.mp4"))
    ended = desk.run()
    assert (ended.code, sim.charges()) == (2, [])
    assert why in ended.stderr


def test_chain_reads_the_video_from_the_bucket(
    desk: Any, sim: Any, relay: Any, storage: ObjectStorage, bodies: list[bytes]
) -> None:
    """A day later, when the model's own link is too old, the next shot still gets the stored video."""
    sim.start()
    through = ("--base-url", relay.url)
    desk.write(shot := {"id": "ant", "prompt": "ant goes"}, videos=storage.place)
    assert desk.run(*through).code == 0
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("UPDATE attempts SET finished_at = finished_at - ?", (30 * 3600 * sim.scale,))
    desk.write(shot, refers("bee", "task:ant/video"), videos=storage.place)
    ended = desk.run(*through)
    assert ended.code == 0, ended.stdout
    link = submitted_link(bodies)
    assert hashlib.sha256(fetched(link)).hexdigest() == desk.row("ant")["sha256"]
    assert desk.row("bee")["inputs"] == "task:ant/video"
    check_silent(desk, ended)


@pytest.mark.parametrize("instead", [None, CLIP], ids=["deleted", "replaced"])
def test_chain_does_not_send_another_video(
    desk: Any, sim: Any, storage: ObjectStorage, instead: bytes | None
) -> None:
    """The object is gone or another one, and the model's own link too old: nothing is paid."""
    sim.start()
    desk.write(shot := {"id": "ant", "prompt": "ant goes"}, videos=storage.place)
    assert desk.run().code == 0
    with closing(sqlite3.connect(desk.directory / "ledger.sqlite", isolation_level=None)) as ledger:
        ledger.execute("UPDATE attempts SET finished_at = finished_at - ?", (30 * 3600 * sim.scale,))
    storage.delete("videos/ant.mp4")
    if instead:
        storage.write("videos/ant.mp4", instead)
    desk.write(shot, refers("bee", "task:ant/video"), videos=storage.place)
    assert desk.run().code == 1
    assert "missing or has changed" in desk.row("bee")["error_message"]
    assert not sim.charges("bee")


def test_links_end_with_their_signature(storage: ObjectStorage) -> None:
    """Without it, the storage shows nothing: what is kept of a link is worth nothing to anybody."""
    storage.write("clip.mp4", CLIP)
    with pytest.raises(HTTPError):
        fetched(f"{storage.url}/films/tonight/clip.mp4")
