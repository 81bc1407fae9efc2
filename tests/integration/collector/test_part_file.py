"""The file that a download is written to."""

import errno
import hashlib
import os
from types import SimpleNamespace

import pytest

from batchrunner.storage import files
from batchrunner.storage.files import PartFile


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
