"""Where videos go: how much room there is, and whether they can be written there."""

import tempfile
from types import SimpleNamespace

import pytest

from batchrunner.core.errors import StorageError
from batchrunner.core.submission.decision import Hold
from batchrunner.engine import disk_room, preparation
from batchrunner.engine.disk_room import DISK_PAUSE, Disk, room
from batchrunner.engine.preparation import check_videos_writable, make_directories

RESERVE = 100


@pytest.mark.parametrize(
    ("ledger", "videos", "free"),
    [(500, 900, 900), (900, 500, 500), (RESERVE, 900, 900), (RESERVE - 1, 900, 99), (50, 40, 40)],
)
def test_the_disk_that_counts_is_that_of_the_videos(monkeypatch, tmp_path, ledger, videos, free):
    """`videos` may be a link to another disk; the ledger's must keep its reserve."""
    sizes = {tmp_path: ledger, tmp_path / "videos": videos}
    usage = SimpleNamespace(disk_usage=lambda path: SimpleNamespace(free=sizes[path]))
    monkeypatch.setattr(disk_room, "shutil", usage)
    assert room(tmp_path, RESERVE) == free


def test_a_folder_that_was_moved_away_just_now_counts_as_the_ledgers_disk(tmp_path):
    """Looking for room never ends a run."""
    assert room(tmp_path, 0) > 0


def test_a_link_to_a_disk_that_is_not_mounted_is_named(tmp_path):
    """Nothing is written elsewhere in its place."""
    (tmp_path / "videos").symlink_to(tmp_path / "not-mounted")
    with pytest.raises(StorageError, match="broken symlink") as refused:
        make_directories(tmp_path)
    assert "mount" in refused.value.hint


def test_a_read_only_archive_is_refused_only_where_videos_are_to_come(tmp_path, monkeypatch):
    """A run that has all its videos needs no room for any."""
    (tmp_path / "videos").mkdir()

    def file(dir):
        if dir.name == "videos":
            raise OSError(30, "Read-only file system")
        return tempfile.TemporaryFile(dir=dir)

    monkeypatch.setattr(preparation, "tempfile", SimpleNamespace(TemporaryFile=file))
    with pytest.raises(StorageError, match="Read-only"):
        make_directories(tmp_path)
    (tmp_path / "ledger.sqlite").write_bytes(b"not empty")
    make_directories(tmp_path)
    with pytest.raises(StorageError, match="Read-only"):
        check_videos_writable(tmp_path)


def test_submission_waits_while_videos_cannot_be_stored() -> None:
    """Even with nothing in flight: the trouble may pass, or else ends the run elsewhere."""
    troubles = ["can't store videos at s3://films/a: HTTP 503", ""]
    disk = Disk(lambda: 10**12, 0, 1, lambda: 0, trouble=lambda: troubles[0])
    assert disk.full(0, now=100.0) == Hold(troubles[0], 100.0 + DISK_PAUSE)
    troubles.pop(0)
    assert disk.full(0, now=130.0) is None
