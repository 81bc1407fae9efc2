"""The file that a download is written to."""

import errno
import fcntl
import hashlib
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from batchrunner.core.errors import StorageError
from batchrunner.storage import files
from batchrunner.storage.files import PartFile, open_part, part_of, remove_part_files, replacing, write_over


def test_a_write_that_comes_after_discard_creates_nothing(tmp_path):
    """A thread that was late must not bring a removed part file back."""
    part = PartFile(tmp_path / "a.mp4")
    part.write(b"first")
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    part.discard()
    part.write(b"second")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write_out", [1, 5, 1 << 30])
def test_the_hash_is_that_of_the_file_whatever_the_pieces(tmp_path, monkeypatch, write_out):
    """Pieces are hashed beside the writing, and in their order."""
    monkeypatch.setattr(files, "WRITE_OUT", write_out)
    pieces = [bytes([number]) * 50_000 for number in range(40)]
    part = PartFile(tmp_path / "a.mp4")
    for piece in pieces:
        part.write(piece)
    size, sha256 = part.verified(lambda path: path.stat().st_size, b"rest")
    part.put_in_place()
    written = (tmp_path / "a.mp4").read_bytes()
    assert written == b"".join(pieces) + b"rest"
    assert size == len(written)
    assert sha256 == hashlib.sha256(written).hexdigest()


def test_every_piece_is_hashed_before_the_next_one_and_before_the_end(tmp_path, monkeypatch):
    """Here, a piece is hashed only when somebody waits for it."""
    late = SimpleNamespace(submit=lambda update, piece: SimpleNamespace(result=lambda: update(piece)))
    monkeypatch.setattr(files, "_HASHERS", late)
    part = PartFile(tmp_path / "a.mp4")
    part.write(b"first")
    part.write(b"second")
    _, sha256 = part.verified(lambda _: None, b"rest")
    assert sha256 == hashlib.sha256(b"firstsecondrest").hexdigest()


def test_a_system_that_refuses_to_write_out_early_is_no_reason_to_fail(tmp_path, monkeypatch):
    """It is a request only: whether the bytes are on the disk, the fsync says."""
    asked = []

    def refusing(fd: int, *_: int) -> None:
        asked.append(fd)
        raise OSError(errno.EINVAL, "refused")

    monkeypatch.setattr(files, "WRITE_OUT", 5)
    monkeypatch.setattr(os, "posix_fadvise", refusing, raising=False)
    part = PartFile(tmp_path / "a.mp4")
    part.write(b"first")
    _, sha256 = part.verified(lambda _: None)
    assert len(asked) == 1
    assert sha256 == hashlib.sha256(b"first").hexdigest()


def test_only_part_files_without_a_writer_are_removed(tmp_path: Path) -> None:
    """Whoever removes them, a download, a page or any other file that is being written stays."""
    download, left = PartFile(tmp_path / "a.mp4"), part_of(tmp_path / "left.jpg")
    download.write(b"begun")
    left.write_bytes(b"a killed writer's")
    with replacing(tmp_path / "report.html") as page:
        page.write(b"half")
        remove_part_files(tmp_path)
        assert not left.exists()
        assert len(list(tmp_path.iterdir())) == 2
    download.verified(lambda _: None)
    download.put_in_place()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "report.html"]
    assert (tmp_path / "report.html").read_bytes() == b"half"


def test_part_files_of_another_file_are_left_alone(tmp_path: Path) -> None:
    """Commands that don't hold the run's lock remove only what they would write themselves."""
    own, other = part_of(tmp_path / "a[b].html"), part_of(tmp_path / "results.csv")
    for path in (own, other):
        path.touch()
    remove_part_files(tmp_path, "a[b].html")
    assert list(tmp_path.iterdir()) == [other]


def test_a_part_file_that_is_removed_before_it_is_locked_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two calls it looks like a killed writer's."""
    part, lock = part_of(tmp_path / "a"), fcntl.flock

    def late(fd: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        remove_part_files(tmp_path)
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", late)
    os.close(open_part(part))
    assert part.exists()


def test_a_file_that_cant_be_replaced_leaves_no_part_file(tmp_path: Path) -> None:
    """A folder has its name."""
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StorageError):
        write_over(tmp_path / "report.html", b"page")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
