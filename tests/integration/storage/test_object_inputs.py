"""Inputs in buckets: what is read, how much at once, and what is known from before."""

import asyncio
import io
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batchrunner.core.model import Fit
from batchrunner.core.object_url import ObjectUrl
from batchrunner.manifest import load_limits
from batchrunner.media.objects import ToldBefore
from batchrunner.media.picture_files import MediaFault, PictureRules
from batchrunner.storage import object_inputs
from batchrunner.storage.object_inputs import AT_ONCE, ObjectInputs
from batchrunner.storage.picture_cache import NAME, cache_folder
from tests.harness.object_storage import ACCESS_KEY, SECRET_KEY, ObjectStorage
from tests.harness.storage_relay import StorageRelay, loses_answer, passes, refuses

RULES = PictureRules(load_limits().inputs)


def picture(red: int = 0, side: int = 300) -> bytes:
    """A PNG of one colour."""
    data = io.BytesIO()
    Image.new("RGB", (side, side), (red, 0, 0)).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def found(storage: ObjectStorage, wire: StorageRelay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes inputs of a new manifest, with the storage and the cache of this test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in storage.environment(wire.url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return ObjectInputs


def test_many_are_read_at_once_and_each_once(found: Any, storage: Any, wire: Any) -> None:
    """No more than a few at the same time; asking again asks nobody."""
    urls = [f"{storage.place}/{number}.png" for number in range(20)]
    for number in range(20):
        storage.write(f"{number}.png", picture(number))
    inside, most, lock, full = [0], [0], threading.Lock(), threading.Event()

    def counted(exchange: Any) -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            if inside[0] == AT_ONCE:
                full.set()
        full.wait(30)  # they come at once, or the test would wait here in vain
        passes(exchange)
        with lock:
            inside[0] -= 1

    wire.rule("GET", ".png", counted)
    inputs = found()
    inputs.prepare(dict.fromkeys(urls, "image"), RULES)
    assert len({inputs.picture(url, RULES).sha256 for url in urls}) == 20
    assert most == [AT_ONCE]
    assert wire.count("GET", ".png") == 20


def test_large_pictures_are_read_one_by_one(
    found: Any, storage: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the memory that they take doesn't grow with how many there are."""
    monkeypatch.setattr(object_inputs, "LARGE", 1000)
    noise = [os.urandom(200_000 * 3) for _ in range(6)]
    for number, content in enumerate(noise):
        data = io.BytesIO()
        Image.frombytes("RGB", (500, 400), content).save(data, "PNG")
        storage.write(f"{number}.png", data.getvalue())
    reading, inspected = [0], list[int]()
    inspect = PictureRules.inspected

    def seen(self: PictureRules, data: bytes) -> Any:
        reading[0] += 1
        inspected.append(reading[0])
        result = inspect(self, data)
        reading[0] -= 1
        return result

    monkeypatch.setattr(PictureRules, "inspected", seen)
    inputs = found()
    inputs.prepare({f"{storage.place}/{number}.png": "image" for number in range(6)}, RULES)
    assert {inputs.picture(f"{storage.place}/{number}.png", RULES).wrong for number in range(6)} == {""}
    assert inspected == [1] * 6


def test_known_pictures_are_judged_by_the_rules_of_today(found: Any, storage: Any, wire: Any) -> None:
    """What is too large is not kept as a fault, and what was small enough may be too large by now."""
    storage.write("a.png", picture())
    url = f"{storage.place}/a.png"
    assert not found().picture(url, RULES).wrong
    limits = load_limits().inputs
    small = PictureRules(type(limits)(**{**_fields(limits), "most_bytes": {"image": 100}}))
    assert "is over" in found().picture(url, small).wrong
    assert not found().picture(url, RULES).wrong
    assert wire.count("GET", "a.png") == 1


def _fields(limits: Any) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in type(limits).__dataclass_fields__}


def test_too_large_a_picture_is_not_read_to_its_end(found: Any, storage: Any) -> None:
    """Its size is known from the first answer; with `images:` it may be larger."""
    storage.write("a.png", picture() + b"\0" * 31_000_000)
    url = f"{storage.place}/a.png"
    assert "is over 30 MB" in found().picture(url, RULES).wrong
    fitting = PictureRules(load_limits().inputs, Fit(4096, 8_000_000))
    assert not found().picture(url, fitting).wrong


@pytest.mark.parametrize("harm", ["garbage", "read-only", "no home"])
def test_cache_that_cant_be_used_costs_only_time(
    found: Any, storage: Any, wire: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """Pictures are read again."""
    folder = tmp_path / "cache" / "batchrunner"
    if harm == "garbage":
        folder.mkdir(parents=True)
        (folder / NAME).write_bytes(b"no database" * 1000)
    elif harm == "read-only":
        folder.parent.mkdir()
        folder.write_text("a file where the folder should be")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        assert cache_folder() is None
    storage.write("a.png", picture())
    for reads in (1, 2):
        assert not found().picture(f"{storage.place}/a.png", RULES).wrong
        assert wire.count("GET", "a.png") == reads


def test_cache_has_no_secrets_and_forgets(found: Any, storage: Any, wire: Any, tmp_path: Path) -> None:
    """Only addresses, ETags and facts; what nobody has named for months is dropped."""
    storage.write("a.png", picture())
    found().picture(f"{storage.place}/a.png", RULES)
    file = tmp_path / "cache" / "batchrunner" / NAME
    text = b"".join(path.read_bytes() for path in file.parent.iterdir())
    assert ACCESS_KEY.encode() not in text
    assert SECRET_KEY.encode() not in text
    assert file.parent.stat().st_mode & 0o077 == 0
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("UPDATE pictures SET used_at = used_at - ?", (91 * 86400,))
    found().picture(f"{storage.place}/a.png", RULES)
    assert wire.count("GET", "a.png") == 2
    db.close()


def test_bucket_is_told_of_once(found: Any, storage: Any, wire: Any) -> None:
    """The first use says why it can't be read; the others ask nobody, and say that it was told."""
    wire.rule("GET", ".png", refuses(403, "AccessDenied"))
    inputs = found()
    with pytest.raises(MediaFault, match="AccessDenied"):
        inputs.picture(f"{storage.place}/a.png", RULES)
    for name in ("a.png", "b.png"):
        with pytest.raises(ToldBefore):
            inputs.picture(f"{storage.place}/{name}", RULES)
    assert wire.count("GET", ".png") == 1


def test_storage_that_doesnt_answer(found: Any, storage: Any, wire: Any) -> None:
    """The library has tried again; a person is told."""
    wire.rule("GET", ".png", loses_answer)
    with pytest.raises(MediaFault, match="can't read s3://films: no answer"):
        found().picture(f"{storage.place}/a.png", RULES)


def test_bucket_that_does_not_exist(found: Any, storage: Any) -> None:
    """Its name is wrong rather than that of the picture."""
    with pytest.raises(MediaFault, match=r"can't read s3://nowhere: HTTP 404 NoSuchBucket"):
        found().picture("s3://nowhere/a.png", RULES)
    with pytest.raises(MediaFault, match=r"can't read s3://nowhere: HTTP 404 NoSuchBucket"):
        found().names(ObjectUrl("s3://nowhere", "a"), deep=True)


def test_objects_that_stand_for_folders_are_not_listed(found: Any, storage: Any) -> None:
    """Some tools store an empty object for each folder."""
    for name in ("a/", "a/b/", "a/b/1.png", "a/2.png"):
        storage.client.put_object(Bucket="films", Key=f"tonight/{name}", Body=b"x" * name.endswith("g"))
    folder = ObjectUrl("s3://films", "tonight/a")
    assert found().names(folder, deep=False) == ["tonight/a/2.png"]
    assert sorted(found().names(folder, deep=True)) == ["tonight/a/2.png", "tonight/a/b/1.png"]


def test_reading_within_a_running_event_loop(found: Any, storage: Any) -> None:
    """A notebook and `doctor` load manifests where one is running."""
    storage.write("a.png", picture())

    async def within() -> str:
        return str(found().picture(f"{storage.place}/a.png", RULES).mime)

    assert asyncio.run(within()) == "image/png"
