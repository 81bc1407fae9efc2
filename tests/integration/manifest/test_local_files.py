"""Local pictures: which may be sent, and that what was planned is what is sent."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from batchrunner.core.model import Fit, MediaFile
from batchrunner.manifest import load_limits
from batchrunner.media.clip_files import sound_type
from batchrunner.media.local_files import MediaChanged, MediaFolder, check_data_uri, data_uri
from batchrunner.media.picture_files import MediaFault
from batchrunner.media.pictures import picture_type

PNG = (Path(__file__).parents[2] / "data" / "valid" / "media" / "dot.png").read_bytes()
HEIC = b"\0\0\0\x18ftypheic" + b"\0" * 20


def media(folder: Path, fit: Fit | None = None) -> MediaFolder:
    """The pictures below a folder."""
    return MediaFolder(folder, load_limits().inputs, fit)


def planned(folder: Path, written: str, fit: Fit | None = None) -> MediaFile:
    """The file that a manifest in `folder` means."""
    found = media(folder, fit).picture(written)
    assert isinstance(found, MediaFile)
    return found


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (PNG, "image/png"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a", "image/gif"),
        (b"GIF87a", "image/gif"),
        (b"II*\0", "image/tiff"),
        (b"MM\0*", "image/tiff"),
        (b"BM\x10\0", "image/bmp"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"\0\0\0\x18ftypmif1", "image/heif"),
        (b"\0\0\0\x18ftypavif", ""),
        (b"RIFF\x10\0\0\0WAVE", ""),
        (b"<svg", ""),
        (b"", ""),
    ],
)
def test_the_first_bytes_tell_the_type(head: bytes, mime: str) -> None:
    """A name's ending counts for nothing."""
    assert picture_type(head) == mime


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    """Path, hash, type, size and measures are recorded, and the path as it was written."""
    (tmp_path / "cat.jpg").write_bytes(PNG)
    assert planned(tmp_path, "./cat.jpg") == MediaFile(
        path=str(tmp_path / "cat.jpg"),
        shown="./cat.jpg",
        sha256=hashlib.sha256(PNG).hexdigest(),
        mime="image/png",
        size=len(PNG),
        width=320,
        height=320,
    )


@pytest.mark.parametrize("url", ["https://example.com/a.png", "HTTP://example.com/a.png", "asset://asset-1"])
def test_a_url_is_no_file(url: str, tmp_path: Path) -> None:
    """Addresses pass as they are."""
    assert media(tmp_path).picture(url) == url


def test_the_data_uri_holds_the_planned_bytes(tmp_path: Path) -> None:
    """The data URI holds the file's bytes under its true type."""
    (tmp_path / "cat.jpg").write_bytes(PNG)
    assert data_uri(planned(tmp_path, "cat.jpg")) == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def test_a_changed_file_is_not_sent(tmp_path: Path) -> None:
    """Neither other bytes nor a missing file can slip in after planning."""
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    cat = planned(tmp_path, "cat.png")
    path.write_bytes(PNG + b"!")
    with pytest.raises(MediaChanged, match=r"cat\.png has changed since it was planned"):
        data_uri(cat)
    path.unlink()
    with pytest.raises(MediaChanged, match=r"cat\.png can no longer be read"):
        data_uri(cat)


@pytest.mark.parametrize("stands_in", ["fifo", "device", "folder", "longer"])
def test_a_special_file_in_a_pictures_place_is_not_read(tmp_path: Path, stands_in: str) -> None:
    """A FIFO would be waited for, a device never ends: neither hangs the run, and nothing of it is sent."""
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    cat = planned(tmp_path, "cat.png")
    path.unlink()
    match stands_in:
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case "longer":
            path.write_bytes(PNG + b"more")
    with pytest.raises(MediaChanged, match=r"cat\.png"):
        data_uri(cat)


def test_nothing_leaves_the_manifests_folder_unless_absolute(tmp_path: Path) -> None:
    """Neither `..` nor a link leads out; an absolute path says that it is meant."""
    outside, folder = tmp_path / "secret.png", tmp_path / "manifest"
    folder.mkdir()
    outside.write_bytes(PNG)
    (folder / "link.png").symlink_to(outside)
    for written in ("../secret.png", "link.png", "x/../../secret.png"):
        with pytest.raises(MediaFault, match="outside the manifest's folder"):
            media(folder).picture(written)
    assert planned(folder, str(outside)).path == str(outside)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    """The file that it leads to is what is recorded."""
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "link.png").symlink_to("cat.png")
    assert planned(tmp_path, "link.png").path == str(tmp_path / "cat.png")


def test_a_special_file_is_refused(tmp_path: Path) -> None:
    """A pipe is not opened, for it would block; a circle of links is no path."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(MediaFault, match="not a regular file"):
        media(tmp_path).picture("pipe.png")
    for written in ("loop.png", "a\0b.png", "x" * 5000):
        with pytest.raises(MediaFault):
            media(tmp_path).picture(written)


def test_a_picture_over_30_mb_is_refused(tmp_path: Path) -> None:
    """The limit itself is still allowed."""
    (tmp_path / "fits.png").write_bytes(PNG[:-12] + b"\0" * (30_000_000 - len(PNG)) + PNG[-12:])
    (tmp_path / "large.png").write_bytes(PNG[:-12] + b"\0" * (30_000_001 - len(PNG)) + PNG[-12:])
    assert planned(tmp_path, "fits.png").size == 30_000_000
    with pytest.raises(MediaFault, match=r"large\.png is over 30 MB") as caught:
        media(tmp_path).picture("large.png")
    assert "images: {max_bytes: 8MB}" in caught.value.hint


def test_a_large_picture_may_be_planned_to_fit(tmp_path: Path) -> None:
    """But not a heic, which nobody here can open."""
    (tmp_path / "large.png").write_bytes(PNG[:-12] + b"\0" * 31_000_000 + PNG[-12:])
    (tmp_path / "large.heic").write_bytes(HEIC + b"\1" * 31_000_000)
    fit = Fit(1000, 1_000_000)
    assert planned(tmp_path, "large.png", fit).fit == fit
    with pytest.raises(MediaFault, match=r"large\.heic is over 30 MB") as caught:
        media(tmp_path, fit).picture("large.heic")
    assert caught.value.hint == "make the picture smaller"


def test_only_the_type_of_a_heic_is_known(tmp_path: Path) -> None:
    """It is sent as it is, whatever is said about pictures that are too large."""
    (tmp_path / "cat.heic").write_bytes(HEIC)
    found = planned(tmp_path, "cat.heic", Fit(1000, 1_000_000))
    assert (found.mime, found.width, found.height, found.fit) == ("image/heic", 0, 0, None)


@pytest.mark.parametrize("data", [PNG[:300], b"", b"text", b"BM" + b"\0" * 100])
def test_a_broken_picture_is_looked_at_once(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand tasks that want it cost no more than one."""
    (tmp_path / "cat.png").write_bytes(data)
    folder, looked = media(tmp_path), []
    read = MediaFolder._read
    monkeypatch.setattr(MediaFolder, "_read", lambda *given: looked.append(1) or read(*given))
    for written in ("cat.png", "./cat.png", "cat.png"):
        with pytest.raises(MediaFault, match=r"cat\.png"):
            folder.picture(written)
    assert len(looked) == 1


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
        (b"ID3\x04", "audio/mpeg"),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"RIFF\x10\0\0\0WEBP", ""),
        (b"\xff\xd8\xff", ""),
        (b"OggS", ""),
        (b"", ""),
    ],
)
def test_the_first_bytes_of_a_sound_tell_its_type(head: bytes, mime: str) -> None:
    """A jpeg, which begins much like an mp3, is none."""
    assert sound_type(head) == mime


@pytest.mark.parametrize("name", ["mp3", "mpeg"])
def test_an_mp3_has_two_names(name: str) -> None:
    """Both are in use."""
    check_data_uri(f"data:audio/{name};base64,{base64.b64encode(b'ID3' + bytes(40)).decode()}", "audio")
    with pytest.raises(MediaFault, match=r"declared audio/wav but contains audio/mpeg"):
        check_data_uri(f"data:audio/wav;base64,{base64.b64encode(b'ID3' + bytes(40)).decode()}", "audio")


def test_each_file_is_read_once(tmp_path: Path) -> None:
    """A thousand tasks with one picture read it once: later changes are found when sending."""
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    folder = media(tmp_path)
    first = folder.picture("cat.png")
    path.unlink()
    assert folder.picture("cat.png") == first
    assert folder.picture("./cat.png") != first  # only in how it was written
