"""A bucket keeps the same promises as a disk, on both servers, whatever happens on the way."""

import asyncio
import hashlib
import sys
from typing import Any

import pytest

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.storage import aws, bucket
from batchrunner.storage.library import check_library
from batchrunner.storage.object_videos import ObjectVideos
from batchrunner.storage.patience import WAITS
from batchrunner.storage.video_store import Kept, Taken
from tests.harness.object_storage import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.harness.storage_relay import damages, loses_answer, loses_request, refuses

VIDEO, OTHER = b"a video" * 1000, b"another" * 1000
DIGEST = hashlib.sha256(VIDEO).hexdigest()
NAME = "videos/cat.mp4"


def test_object_says_which_video_it_is(shelf: Any, storage: Any) -> None:
    """One PUT; its metadata has hash, remote ID and fingerprint; nothing is left on the local disk."""
    kept = shelf.keep(VIDEO)
    assert (kept.sha256, kept.size, kept.facts) == (DIGEST, len(VIDEO), shelf.facts)
    content, metadata = storage.read(NAME)
    assert content == VIDEO
    assert metadata["sha256"] == DIGEST
    assert (metadata["remoteid"], metadata["fingerprint"]) == ("task_1", "v1-abc")
    assert not list(shelf.videos.part(NAME).path.parent.iterdir())


def test_object_of_a_killed_run_is_found_without_a_download(shelf: Any) -> None:
    """It is known by the hash in the ledger, or by the remote ID if the ledger is outdated."""
    kept = shelf.keep(VIDEO)
    assert shelf.find(known=DIGEST) == kept
    assert shelf.find(known=None) == kept
    assert shelf.find(known=None, remote="task_2") is None
    assert shelf.find(name="videos/dog.mp4") is None
    assert isinstance(shelf.find(known="0" * 64), Taken)


def test_same_video_is_not_stored_twice(shelf: Any, wire: Any) -> None:
    """What is there with the same hash is what was to be stored."""
    assert shelf.keep(VIDEO) == shelf.keep(VIDEO)
    assert wire.count("PUT") == 1


def test_other_object_with_the_name_is_never_overwritten(shelf: Any, storage: Any) -> None:
    """With metadata or without, large or small."""
    shelf.keep(OTHER)
    storage.write("videos/dog.mp4", OTHER)
    assert isinstance(shelf.keep(VIDEO), Taken)
    assert isinstance(shelf.keep(VIDEO, name="videos/dog.mp4"), Taken)
    assert storage.read(NAME).content == storage.read("videos/dog.mp4").content == OTHER


def test_object_that_appears_during_the_put_is_not_overwritten(shelf: Any, storage: Any, wire: Any) -> None:
    """Somebody else stores one between our look and our PUT."""

    def meanwhile(exchange: Any) -> None:
        storage.write(NAME, OTHER)
        exchange.send(*exchange.pass_on())

    wire.rule("PUT", NAME, meanwhile, times=1)
    assert isinstance(shelf.keep(VIDEO), Taken)
    assert storage.read(NAME).content == OTHER


def test_copy_made_by_another_tool_is_the_video(shelf: Any, storage: Any) -> None:
    """An object without metadata is read once, to compare it."""
    storage.write(NAME, VIDEO)
    assert isinstance(shelf.keep(VIDEO), Kept)


def test_large_file_goes_in_parts(
    shelf: Any, storage: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the size of one PUT; metadata and content are the same."""
    monkeypatch.setattr(bucket, "ONE_PUT", 1 << 20)
    monkeypatch.setattr(bucket, "PART_SIZE", 5 << 20)
    large = bytes(range(256)) * (12 << 12)
    kept = shelf.keep(large)
    content, metadata = storage.read(NAME)
    assert content == large
    assert metadata["sha256"] == kept.sha256 == hashlib.sha256(large).hexdigest()
    assert wire.count("PUT", NAME) == 3
    assert storage.uploads() == []


@pytest.mark.parametrize(
    "fault", [loses_request, loses_answer, refuses(503, "SlowDown"), refuses(500, "InternalError")]
)
def test_passing_fault_is_made_good(shelf: Any, storage: Any, wire: Any, fault: Any) -> None:
    """Whatever befalls the PUT, one whole object is there in the end."""
    wire.rule("PUT", NAME, fault, times=4)
    assert shelf.keep(VIDEO).sha256 == DIGEST
    assert storage.read(NAME).content == VIDEO
    assert shelf.videos.trouble == ""


@pytest.mark.parametrize("server", ["versitygw"], indirect=True)  # moto's server checks no hashes
def test_server_refuses_what_was_damaged_on_its_way(shelf: Any, storage: Any, wire: Any) -> None:
    """The hash that is sent along is the server's to check; then it is sent again."""
    wire.rule("PUT", NAME, damages, times=1)
    assert shelf.keep(VIDEO).sha256 == DIGEST
    assert storage.read(NAME).content == VIDEO
    assert wire.count("PUT") == 2


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "AccessDenied", "credentials"),
        (403, "RequestTimeTooSkewed", "clock"),
        (404, "NoSuchBucket", "bucket"),
        (403, "SignatureDoesNotMatch", "credentials"),
    ],
)
def test_fault_for_a_person_ends_at_once_and_shows_no_secret(
    shelf: Any, storage: Any, wire: Any, status: int, code: str, hint: str
) -> None:
    """The server's own message may repeat the key; only the code is shown."""
    wire.rule("PUT", NAME, refuses(status, code, f"{ACCESS_KEY} {SECRET_KEY}"))
    with pytest.raises(StorageError, match=code if status == 403 else "404") as caught:
        shelf.keep(VIDEO)
    assert hint in caught.value.hint
    told = f"{caught.value!r} {caught.value.hint} {caught.value.__cause__} {shelf.videos!r}"
    assert ACCESS_KEY not in told
    assert SECRET_KEY not in told
    assert wire.count("PUT") == 1
    assert storage.names() == []


def test_long_outage_ends_with_an_error_and_is_seen_meanwhile(shelf: Any, wire: Any) -> None:
    """Submission is held back by the trouble of the place as long as it lasts."""
    seen = []

    async def sleep(_: float) -> None:
        seen.append(shelf.videos.trouble)

    shelf.videos._patiently._sleep = sleep
    wire.rule("HEAD", NAME, refuses(503, "SlowDown"))
    with pytest.raises(StorageError, match="HTTP 503"):
        shelf.keep(VIDEO)
    assert len(seen) == len(WAITS)
    assert seen[0] == ""
    assert all("HTTP 503" in trouble for trouble in seen[1:])


def test_place_belongs_to_one_run(shelf: Any, storage: Any) -> None:
    """Another run directory is refused; the same one may come again."""
    asyncio.run(shelf.videos.claim("run-1"))
    asyncio.run(shelf.videos.claim("run-1"))
    with pytest.raises(UsageError, match="belong to another run directory"):
        asyncio.run(shelf.videos.claim("run-2"))
    assert storage.read("videos/.run-id").content == b"run-1\n"


def test_parts_of_a_killed_upload_are_removed(shelf: Any, storage: Any) -> None:
    """Those below the place's own folder only."""
    for name in ("tonight/videos/big 猫.mp4", "tonight/videosother/big.mp4", "elsewhere/big.mp4"):
        upload = storage.client.create_multipart_upload(Bucket=BUCKET, Key=name)["UploadId"]
        storage.client.upload_part(Bucket=BUCKET, Key=name, UploadId=upload, PartNumber=1, Body=VIDEO)
    asyncio.run(shelf.videos.claim("run-1"))
    assert sorted(storage.uploads()) == ["elsewhere/big.mp4", "tonight/videosother/big.mp4"]


def test_key_and_region_in_files(
    storage: Any, wire: Any, shelf: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile in `~/.aws`, if the environment has no key."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "films")
    (tmp_path / ".aws").mkdir()
    keys = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    (tmp_path / ".aws" / "credentials").write_text(f"[default]\n[films]\n{keys}")
    (tmp_path / ".aws" / "config").write_text("[profile films]\nregion = us-east-1\n")
    videos = ObjectVideos(storage.place, tmp_path, lambda _: asyncio.sleep(0))
    asyncio.run(videos.claim("run-1"))
    assert storage.names() == ["videos/.run-id"]
    assert SECRET_KEY not in repr(aws.keys_in_file())


def test_listing_identifies_what_was_kept(shelf: Any) -> None:
    """One listing says of each object the same as the look after its PUT."""
    kept = shelf.keep(VIDEO), shelf.keep(OTHER, name="videos/dog.mp4")
    found = asyncio.run(shelf.videos.listing())
    assert found == {NAME: kept[0].seen, "videos/dog.mp4": kept[1].seen}
    assert shelf.videos.sha256_now(NAME) == DIGEST
    assert shelf.videos.sha256_now("videos/none.mp4") == ""


def test_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is created."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(UsageError, match="needs obstore, which is not installed") as caught:
        check_library()
    assert caught.value.hint == "run `pip install 'batchrunner[s3]'`"
