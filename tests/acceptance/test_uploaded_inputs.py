"""Local videos and sounds as inputs: stored in the bucket of the run's videos, once, and sent as links."""

import hashlib
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.test_bucket_inputs import (
    BOAT,
    CLIP,
    check_silent,
    fetched,
    refers,
    submitted_link,
)
from tests.harness.object_storage import ACCESS_KEY, SECRET_KEY, ObjectStorage
from tests.harness.storage_relay import HeldRequest, passes, refuses

SOUND = b"RIFF\x24\x40\0\0WAVEfmt " + b"\0" * 6000


def place_of(content: bytes, ending: str = ".mp4") -> str:
    """Where an input is stored, below the prefix."""
    return f"inputs/{hashlib.sha256(content).hexdigest()}{ending}"


def test_local_video_is_stored_once_and_sent_as_a_link(
    desk: Any, sim: Any, relay: Any, wire: Any, storage: ObjectStorage, bodies: list[bytes]
) -> None:
    """What the model reads by the link is the file; two tasks and a later run store it once."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    through = ("--base-url", relay.url)
    tasks = [refers("ant", "day.mp4"), refers("bee", "day.mp4") | {"prompt": "bee moves"}]
    desk.write(*tasks, videos=storage.place)
    first = desk.run(*through)
    assert first.code == 0, first.stderr
    link = submitted_link(bodies)
    assert link.startswith(f"{wire.url}/films/tonight/{place_of(CLIP)}?")
    assert fetched(link) == CLIP
    found = storage.read(place_of(CLIP))
    assert (found.content, found.metadata["sha256"]) == (CLIP, hashlib.sha256(CLIP).hexdigest())
    assert [row["inputs"] for row in desk.rows()] == ["day.mp4"] * 2
    desk.write(*tasks, refers("cat", "./day.mp4") | {"prompt": "cat moves"}, videos=storage.place)
    again = desk.run(*through)
    assert again.code == 0, again.stderr
    assert fetched(submitted_link(bodies)) == CLIP
    assert wire.count("PUT", place_of(CLIP)) == 1
    assert len(sim.charges()) == len(bodies) == 3
    assert len(storage.videos()) == 4
    shown = [desk.do("plan", "batch.yaml", "--tasks"), desk.do("status", "batch.run", "--json")]
    check_silent(desk, first, again, *shown)


def test_identity_is_the_content_of_a_video(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """Renamed or copied, it is the same task; another content under its name is another one."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    (desk.folder / "copy.mov").write_bytes(CLIP)
    for name in ("day.mp4", "copy.mov"):
        desk.write(refers("ant", name), videos=storage.place)
        assert desk.run().code == 0
    assert len(sim.charges()) == 1
    (desk.folder / "day.mp4").write_bytes(CLIP + b"\0")
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    assert desk.run().code == 0
    assert len(sim.charges()) == 2


def test_sound_is_stored_likewise(
    desk: Any, sim: Any, relay: Any, storage: ObjectStorage, bodies: list[bytes]
) -> None:
    """The place for videos may also be given by the option."""
    sim.start()
    (desk.folder / "rain.wav").write_bytes(SOUND)
    (desk.folder / "boat.jpg").write_bytes(BOAT)
    content = [
        {"type": "image_url", "role": "reference_image", "image_url": {"url": "boat.jpg"}},
        {"type": "audio_url", "role": "reference_audio", "audio_url": {"url": "rain.wav"}},
    ]
    desk.write({"id": "ant", "prompt": "ant moves", "metadata": {"content": content}})
    assert desk.run("--base-url", relay.url, "--videos", storage.place).code == 0
    assert storage.read(place_of(SOUND, ".wav")).content == SOUND
    assert place_of(SOUND, ".wav") in bodies[-1].decode()
    assert b"data:image/jpeg;base64," in bodies[-1]


def test_nothing_is_stored_before_a_run(desk: Any, storage: ObjectStorage) -> None:
    """Neither by `validate` nor by `plan`; the warning is that of any storage with a private address."""
    (desk.folder / "day.mp4").write_bytes(CLIP)
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    checked = desk.do("validate", "batch.yaml")
    assert checked.code == 0
    assert "the model can't fetch from `127.0.0.1`" in checked.stderr
    assert desk.do("plan", "batch.yaml").code == 0
    assert storage.names() == []


@pytest.mark.parametrize("videos", ["", "file:///tmp"])
def test_without_a_bucket_the_error_names_it(desk: Any, sim: Any, videos: str) -> None:
    """A file can't be sent, and the hint says what would make it possible."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    desk.write(refers("ant", "day.mp4"), **({"videos": videos} if videos else {}))
    ended = desk.run()
    assert (ended.code, sim.charges()) == (2, [])
    assert "a video must be given as an https URL or an asset:// id, not as a local file" in ended.stderr
    assert "set `run.videos` to a bucket (s3://…)" in ended.stderr


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "file not found: day.mp4"),
        (b"", "day.mp4 is empty"),
        (b"no video at all", "day.mp4 is not a video"),
    ],
)
def test_file_that_cant_be_sent(
    desk: Any, sim: Any, storage: ObjectStorage, content: bytes | None, why: str
) -> None:
    """The rules are those for objects; nothing is stored or paid."""
    sim.start()
    if content is not None:
        (desk.folder / "day.mp4").write_bytes(content)
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    ended = desk.run()
    assert (ended.code, sim.charges(), storage.names()) == (2, [], [])
    assert why in ended.stderr


def test_refused_upload_ends_with_5_and_costs_nothing(
    desk: Any, sim: Any, wire: Any, storage: ObjectStorage
) -> None:
    """It says what to do, without secrets; the same command resumes."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    wire.rule("PUT", place_of(CLIP), refuses(403, "AccessDenied", f"{ACCESS_KEY} {SECRET_KEY}"))
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    ended = desk.run()
    assert (ended.code, sim.charges()) == (5, [])
    said = ended.stdout + ended.stderr
    assert f"can't upload inputs to {storage.place}: HTTP 403 AccessDenied" in said
    assert "run the same command again; nothing was paid" in said
    check_silent(desk, ended)
    wire.clear()
    assert desk.run().code == 0
    assert len(sim.charges()) == 1


def test_outage_delays_the_submission(desk: Any, sim: Any, wire: Any, storage: ObjectStorage) -> None:
    """503 for a while: the task waits, and is paid for once."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    wire.rule("PUT", place_of(CLIP), refuses(503, "SlowDown"), times=7)
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    assert desk.run().code == 0
    assert len(sim.charges()) == 1
    assert storage.read(place_of(CLIP)).content == CLIP


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_ended_while_it_is_stored(
    desk: Any, sim: Any, wire: Any, storage: ObjectStorage, end: signal.Signals
) -> None:
    """Before the intent: nothing was begun that must be settled, and the next run goes on."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    hold = HeldRequest()
    wire.rule("PUT", place_of(CLIP), hold, times=1)
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    command = desk.start_run()
    hold.reached()
    if end is signal.SIGKILL:
        command.killed()
    else:
        command.send(end)
        assert command.ended().code == 130
    hold.drop()
    assert sim.charges() == []
    assert desk.run().code == 0
    assert len(sim.charges()) == 1


def changing(desk: Any) -> Callable[[Any], None]:
    """A look that finds nothing; before that, the file is changed."""

    def look(exchange: Any) -> None:
        (desk.folder / "day.mp4").write_bytes(CLIP[:-1] + b"X")
        passes(exchange)

    return look


def test_video_that_changes_before_it_is_stored_is_not_paid_for(
    desk: Any, sim: Any, wire: Any, storage: ObjectStorage
) -> None:
    """What was planned is what is sent; the next run plans the new content."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    wire.rule("HEAD", place_of(CLIP), changing(desk), times=1)
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    assert desk.run().code == 1
    assert (desk.row("ant")["error_code"], sim.charges()) == ("unsendable", [])
    assert "day.mp4 has changed since it was planned" in desk.row("ant")["error_message"]
    assert desk.run().code == 0
    assert storage.read(place_of(CLIP[:-1] + b"X")).content == CLIP[:-1] + b"X"


def test_another_object_under_the_name_is_not_sent(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """One without a hash in its metadata is read; only if it is the file, it is sent."""
    sim.start()
    (desk.folder / "day.mp4").write_bytes(CLIP)
    storage.write(place_of(CLIP), CLIP[:-1] + b"X")
    desk.write(refers("ant", "day.mp4"), videos=storage.place)
    assert desk.run().code == 1
    assert f"{storage.place}/{place_of(CLIP)} has another content" in desk.row("ant")["error_message"]
    assert sim.charges() == []
    storage.write(place_of(CLIP), CLIP)
    assert desk.do("retry", "batch.run", "--failed").code == 0
    assert desk.run().code == 0
    assert len(sim.charges()) == 1
