"""Folders that can't be made or written to: which one, why, and what to do."""

import errno
import os
from pathlib import Path

import pytest

from batchrunner.core.errors import StorageError
from batchrunner.storage.folders import make_folder, unusable


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """Wherever on the path it stands."""
    file = tmp_path / "nights"
    file.write_text("mine")
    for folder in (file, file / "1/videos"):
        with pytest.raises(StorageError, match=f"can't create {folder}: {file} is a file") as told:
            make_folder(folder, parents=True)
        assert told.value.hint == "move or rename that file"
    assert file.read_text() == "mine"


def test_a_broken_link_in_the_way_is_named(tmp_path: Path) -> None:
    """Its disk may not be mounted."""
    (tmp_path / "disk").symlink_to("/nowhere/at/all")
    with pytest.raises(StorageError, match=f"^{tmp_path / 'disk'} is a broken symlink") as told:
        make_folder(tmp_path / "disk/night", parents=True)
    assert "mount its disk" in told.value.hint


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EACCES, "check the owner and the permissions of {place}"),
        (errno.EROFS, "mount the file system of {place} for writing"),
        (errno.ENOSPC, "free space on the disk of {place}"),
        (errno.EIO, "check {place}"),
    ],
)
def test_the_reason_and_the_folder_that_exists_are_named(tmp_path: Path, number: int, hint: str) -> None:
    """Of a folder that is there, and of one that would have to be made in it."""
    why = os.strerror(number)
    told, further = (unusable(folder, OSError(number, why)) for folder in (tmp_path, tmp_path / "a/b"))
    assert str(told) == f"can't write to {tmp_path}: {why}"
    assert str(further) == f"can't create {tmp_path}/a/b: {why} ({tmp_path})"
    assert hint.format(place=tmp_path) in told.hint
    assert told.hint == further.hint
