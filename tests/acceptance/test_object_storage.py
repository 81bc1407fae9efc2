"""Runs whose videos are stored in a bucket: the charge book says what was paid, the server what is stored."""

import asyncio
import base64
import hashlib
import signal
from typing import Any

import pytest

from batchrunner import UsageError, run
from tests.harness.gateway import KEY
from tests.harness.object_storage import ACCESS_KEY, SECRET_KEY, ObjectStorage
from tests.harness.run_directory import files_with, lose_ledger, part_files
from tests.harness.storage_relay import HeldRequest, loses_answer, passes, refuses


def check(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """Every task is done and paid for once; the objects are the videos of the rows, and nothing else."""
    rows, charges = desk.rows(), sim.charges()
    assert {row["state"] for row in rows} == {"done"}
    assert sorted(row["remote_id"] for row in rows) == sorted(charge["remote_id"] for charge in charges)
    pictures = [row["last_frame_file"] for row in rows if row["last_frame_file"]]
    videos = [row["file_name"] for row in rows]
    assert storage.names() == sorted(["videos/.run-id", *videos, *pictures])
    for row in rows:
        content, metadata = storage.read(row["file_name"])
        assert content == sim.video(row["remote_id"])
        assert (str(len(content)), hashlib.sha256(content).hexdigest()) == (row["bytes"], row["sha256"])
        known = {"sha256": row["sha256"], "remoteid": row["remote_id"], "fingerprint": row["fingerprint"]}
        assert known.items() <= metadata.items()
    check_disk(desk)
    assert storage.uploads() == []


def check_disk(desk: Any) -> None:
    """No video and no part of one is on the disk, and no credentials are in any file."""
    assert [path.name for path in (desk.directory / "videos").iterdir()] == [".run-id"]
    assert part_files(desk.directory) == []
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert files_with(secret, desk.folder) == []


def check_silent(*ended: Any) -> None:
    """No credentials were printed."""
    for one in ended:
        for secret in (ACCESS_KEY, SECRET_KEY):
            assert secret not in one.stdout + one.stderr


def test_videos_are_stored_in_a_bucket(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """Named by the manifest; running again does nothing, `status` and `results` show them as done."""
    sim.start()
    desk.write("ant", "bee", "cat", videos=storage.place)
    first = desk.run()
    assert first.code == 0
    assert f"{storage.place}/videos" in first.stdout
    check(desk, sim, storage)
    again = desk.run()
    assert (again.code, "nothing to do" in again.stdout) == (0, True)
    assert desk.do("status", "batch.run").code == 0
    assert desk.do("results", "batch.run").code == 0
    assert [row["warnings"] for row in desk.rows()] == ["", "", ""]
    check(desk, sim, storage)


def test_place_given_by_option_is_remembered(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """The same run directory goes on there without the option, and refuses another place."""
    sim.start()
    desk.write("ant")
    assert desk.run("--videos", f"{storage.place}/").code == 0
    desk.write("ant", "bee")
    assert desk.run().code == 0
    check(desk, sim, storage)
    other = desk.run("--videos", "s3://films/elsewhere")
    assert other.code == 2
    assert f"--videos {storage.place}" in other.stderr
    assert len(sim.charges()) == 2


def test_run_directory_with_videos_stays_on_its_disk(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """What began in a folder is not continued in a bucket."""
    sim.start()
    desk.write("ant")
    desk.check(desk.run(), 0)
    desk.write("ant", "bee", videos=storage.place)
    assert desk.run().code == 2
    desk.write("ant", "bee")
    desk.check(desk.run(), 0)
    assert storage.names() == []


def test_prefix_of_another_run_is_refused_before_anything_is_paid(
    desk: Any, sim: Any, storage: ObjectStorage
) -> None:
    """Two run directories would name their videos alike."""
    sim.start()
    storage.write("videos/.run-id", b"somebody else's\n")
    desk.write("ant", videos=storage.place)
    ended = desk.run()
    assert (ended.code, sim.charges()) == (2, [])
    assert "belong to another run directory" in ended.stderr


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_at_the_put(desk: Any, sim: Any, storage: ObjectStorage, wire: Any, after: bool) -> None:
    """Killed while a PUT is on its way, or stored but not recorded: a look settles that, no download."""
    sim.start()
    desk.write("ant", "bee", videos=storage.place, downloads=1)
    hold = HeldRequest(after)
    wire.rule("PUT", ".mp4", hold, times=1)
    command = desk.start_run()
    hold.reached()
    command.killed()
    hold.drop()
    puts, stored = wire.count("PUT", ".mp4"), storage.videos()
    assert len(stored) == after
    downloads = sim.downloads()
    desk.until(sim.settled, "the generations to end")
    assert desk.run().code == 0
    assert sim.downloads() - downloads == 2 - len(stored)
    assert wire.count("PUT", ".mp4") - puts == 2 - len(stored)
    check(desk, sim, storage)
    assert len(sim.charges()) == 2


def test_stopped_at_the_put(desk: Any, sim: Any, storage: ObjectStorage, wire: Any) -> None:
    """Ctrl-C while the storage doesn't answer ends the run at once; the next one stores the video."""
    sim.start()
    desk.write("ant", videos=storage.place)
    hold = HeldRequest()
    wire.rule("PUT", ".mp4", hold, times=1)
    command = desk.start_run()
    hold.reached()
    command.send(signal.SIGINT)
    assert command.ended().code == 130
    hold.drop()
    assert part_files(desk.directory) == []
    assert desk.run().code == 0
    check(desk, sim, storage)
    assert len(sim.charges()) == 1


def test_outage_delays_and_loses_nothing(desk: Any, sim: Any, storage: ObjectStorage, wire: Any) -> None:
    """503 SlowDown for a while, and an answer that is lost: each object is stored once."""
    sim.start()
    desk.write("ant", "bee", videos=storage.place)
    wire.rule("PUT", "ant.mp4", refuses(503, "SlowDown"), times=7)
    wire.rule("PUT", "bee.mp4", loses_answer, times=1)
    assert desk.run().code == 0
    check(desk, sim, storage)


@pytest.mark.parametrize("code", ["AccessDenied", "RequestTimeTooSkewed", "ExpiredToken"])
def test_refused_midway_ends_with_5_and_resumes_free_of_charge(
    desk: Any, sim: Any, storage: ObjectStorage, wire: Any, code: str
) -> None:
    """Credentials that are refused at the first PUT: what is paid is collected by the next run."""
    sim.start()
    desk.write("ant", "bee", videos=storage.place, concurrency=2)
    wire.rule("PUT", ".mp4", refuses(403, code, f"{ACCESS_KEY} {SECRET_KEY}"))
    ended = desk.run()
    assert ended.code == 5
    assert code in ended.stdout
    charged = len(sim.charges())
    assert charged
    assert {"done", "failed", "uncollected"}.isdisjoint(desk.states().values())
    wire.clear()
    desk.until(sim.settled, "the generations to end")
    resumed = desk.run()
    assert resumed.code == 0
    check(desk, sim, storage)
    assert len(sim.charges()) == 2
    check_silent(ended, resumed)


def test_another_object_with_the_name_is_left_alone(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """One that was there before gives the video another name; one that comes later leaves it uncollected."""
    sim.start()
    storage.write("videos/ant.mp4", b"mine")
    desk.write("ant", videos=storage.place)
    assert desk.run().code == 0
    (row,) = desk.rows()
    assert row["file_name"] not in ("", "videos/ant.mp4")
    assert storage.read("videos/ant.mp4").content == b"mine"
    assert hashlib.sha256(storage.read(row["file_name"]).content).hexdigest() == row["sha256"]


def test_object_that_comes_during_the_run_is_left_alone(
    desk: Any, sim: Any, storage: ObjectStorage, wire: Any
) -> None:
    """The task is uncollected; once the object is moved away, `collect` stores the video, free of charge."""
    sim.start()

    def meanwhile(exchange: Any) -> None:
        storage.write("videos/ant.mp4", b"mine")
        exchange.send(*exchange.pass_on())

    wire.rule("PUT", "ant.mp4", meanwhile, times=1)
    desk.write("ant", videos=storage.place)
    assert desk.run().code == 1
    (row,) = desk.rows()
    assert (row["state"], row["error_code"]) == ("uncollected", "name_taken")
    assert storage.read("videos/ant.mp4").content == b"mine"
    storage.delete("videos/ant.mp4")
    assert desk.do("collect", "batch.run", *desk.at_gateway()).code == 0
    check(desk, sim, storage)
    assert len(sim.charges()) == 1


def test_deleted_object_is_seen_and_collected_again(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """`results` warns of what is missing or replaced; `collect --missing` stores the missing one again."""
    sim.start()
    desk.write("ant", "bee", videos=storage.place)
    assert desk.run().code == 0
    storage.delete("videos/ant.mp4")
    bee = storage.read("videos/bee.mp4").content
    storage.write("videos/bee.mp4", b"another one")
    assert desk.do("results", "batch.run").code == 0
    assert "was moved or deleted" in desk.row("ant")["warnings"]
    assert "was changed or replaced" in desk.row("bee")["warnings"]
    assert desk.do("collect", "batch.run", "--missing", *desk.at_gateway()).code == 0
    assert desk.row("ant")["warnings"] == ""
    assert storage.videos() == ["videos/ant.mp4", "videos/bee.mp4"]
    assert storage.read("videos/bee.mp4").content == b"another one" != bee
    assert len(sim.charges()) == 2


def test_storage_that_is_down_stops_a_run_before_it_begins(
    desk: Any, sim: Any, wire: Any, storage: Any
) -> None:
    """Nothing is paid for that could not be stored."""
    sim.start()
    wire.rule("GET", "", refuses(503, "SlowDown"))
    desk.write("ant", videos=storage.place)
    ended = desk.run()
    assert (ended.code, sim.charges()) == (5, [])
    assert "HTTP 503 SlowDown" in ended.stderr


@pytest.mark.parametrize(
    "url", ["s3://key:pass-canary@films/a", "s3://films/a?sig=pass-canary", "ftp://films"]
)
def test_url_with_credentials_is_refused_and_not_repeated(desk: Any, sim: Any, url: str) -> None:
    """In the manifest and as an option."""
    sim.start()
    desk.write("ant")
    by_option = desk.run("--videos", url)
    desk.write("ant", videos=url)
    by_manifest = desk.run()
    for ended in (by_option, by_manifest):
        assert ended.code == 2
        assert "without credentials" in ended.stderr
        assert "pass-canary" not in ended.stdout + ended.stderr
    assert sim.charges() == []


def test_shot_continues_a_video_in_the_bucket(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """Each shot is sent with the last frame of the one before, which is in the bucket; a film joins them."""
    sim.start()
    frame = "task:{}/last_frame"
    shots = ["ant", {"id": "bee", "prompt": "bee goes on", "image": frame.format("ant")}]
    shots.append({"id": "cat", "prompt": "cat goes on", "image": frame.format("bee")})
    desk.write(*shots, videos=storage.place)
    assert desk.run().code == 0
    check(desk, sim, storage)
    for before, after in (("ant", "bee"), ("bee", "cat")):
        (charge,) = sim.charges(after)
        name = desk.row(before)["last_frame_file"]
        kind = "png" if name.endswith(".png") else "jpeg"
        uri = f"data:image/{kind};base64,{base64.b64encode(storage.read(name).content).decode()}"
        assert charge["media"][0]["url"]["sha256"] == hashlib.sha256(uri.encode()).hexdigest()
    assert desk.do("export", "batch.run", "-o", "films", "--film").code == 0
    assert [path.name for path in (desk.folder / "films").rglob("*.mp4")] == ["cat.mp4"]
    check_disk(desk)


def test_exports_copy_objects(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """With the hash of the ledger; what was deleted is left out, and what would only be a path is refused."""
    sim.start()
    desk.write("ant", "bee", "cat", videos=storage.place)
    assert desk.run().code == 0
    hashes = {row["sha256"] for row in desk.rows()}
    assert desk.do("export", "batch.run", "-o", "set", "--format", "hf").code == 0
    copies = list((desk.folder / "set").rglob("*.mp4"))
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in copies} == hashes
    assert desk.do("export", "batch.run", "-o", "tars", "--format", "webdataset").code == 0
    storage.delete("videos/ant.mp4")
    storage.write("videos/bee.mp4", b"another one")
    left = desk.do("export", "batch.run", "-o", "less", "--format", "hf", "--json")
    assert (left.code, left.json["videos"]) == (1, 1)
    assert sorted(one["reason"] for one in left.json["skipped"]) == [
        "changed or replaced after the download",
        "moved or deleted",
    ]
    refused = desk.do("export", "batch.run", "-o", "rows", "--format", "csv")
    assert (refused.code, (desk.folder / "rows").exists()) == (2, False)
    check_disk(desk)


def test_report_shows_pictures_of_objects(desk: Any, sim: Any, storage: ObjectStorage) -> None:
    """Each video in the bucket has a picture; of one that was deleted, the page says so. No link is on it."""
    sim.start()
    desk.write("ant", "bee", videos=storage.place)
    assert desk.run().code == 0
    rows = {row["id"]: row for row in desk.rows()}
    storage.delete("videos/bee.mp4")
    assert desk.do("report", "batch.run").code == 0
    pictures = [path.name for path in (desk.directory / "pictures").iterdir()]
    assert pictures == [f"{rows['ant']['sha256'][:24]}.jpg"]
    page = (desk.directory / "report.html").read_text(encoding="utf-8")
    assert page.count("moved or deleted") == 1
    assert "X-Amz" not in page
    check_disk(desk)


def test_python_api_stores_and_names_objects(
    desk: Any, sim: Any, storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` takes the place, too; each row has the URL of its video as its path."""
    sim.start()
    desk.write("ant")
    for name, value in storage.environment().items():
        monkeypatch.setenv(name, value)
    where = {"base_url": sim.url, "api_key": KEY, "time_scale": sim.scale}
    with pytest.raises(UsageError, match="without credentials") as caught:
        asyncio.run(run(desk.manifest, videos="s3://me:pass-canary@films/a", **where))
    assert "pass-canary" not in str(caught.value)
    summary = asyncio.run(run(desk.manifest, videos=storage.place, **where))
    assert summary.exit_code == 0
    assert [row["path"] for row in summary.tasks] == [f"{storage.place}/videos/ant.mp4"]
    check(desk, sim, storage)


def test_lost_ledger_is_rebuilt_from_objects(desk: Any, sim: Any, storage: ObjectStorage, wire: Any) -> None:
    """The objects are recognised by the remote IDs in their metadata: no download, no second object."""
    sim.start()
    desk.write("ant", "bee")
    assert desk.run("--videos", storage.place).code == 0
    lose_ledger(desk.directory)
    puts, downloads = wire.count("PUT", ".mp4"), sim.downloads()
    recover = ["recover", desk.manifest.name, "-o", "batch.run", *desk.at_gateway()]
    assert desk.do(*recover, "--videos", storage.place).code == 0
    assert (wire.count("PUT", ".mp4"), sim.downloads()) == (puts, downloads)
    check(desk, sim, storage)
    assert desk.run().code == 0
    assert len(sim.charges()) == 2


def test_new_version_has_a_name_that_is_free_in_the_bucket(
    desk: Any, sim: Any, storage: ObjectStorage
) -> None:
    """`retry --again` looks at the bucket, too."""
    sim.start()
    storage.write("videos/ant-v2.mp4", b"mine")
    desk.write("ant", videos=storage.place)
    assert desk.run().code == 0
    assert desk.do("retry", "batch.run", "ant", "--again").code == 0
    assert desk.run().code == 0
    assert desk.row("ant")["file_name"] == "videos/ant-v2-2.mp4"
    assert storage.read("videos/ant-v2.mp4").content == b"mine"
    assert len(sim.charges()) == 2


def test_three_kills_among_many_videos(desk: Any, sim: Any, storage: ObjectStorage, wire: Any) -> None:
    """Killed while several are being stored, three times: each is paid for once, stored once, and whole."""
    sim.start()
    desk.write(*(f"t{number}" for number in range(30)), videos=storage.place, concurrency=10)
    for number in range(3):
        hold = HeldRequest(after=number == 1)
        wire.rule("PUT", ".mp4", passes, times=4)
        wire.rule("PUT", ".mp4", hold)  # all that come then, so that some are left for the next run
        command = desk.start_run()
        hold.reached()
        command.killed()
        hold.drop()
        wire.clear()
    desk.until(sim.settled, "the generations to end")
    ended = desk.run()
    if ended.code == 3:  # killed during a submission, which is not what this is about
        for row in [row for row in desk.rows() if row["state"] == "in_doubt"]:
            desk.do("resolve", "batch.run", row["id"], *desk.verdict(row))
        ended = desk.run()
    assert ended.code == 0
    check(desk, sim, storage)
    assert len(sim.charges()) == 30
