"""Makes folders, and says which one can't be made or written to, why, and what to do."""

from __future__ import annotations

import errno
from pathlib import Path

from batchrunner.core.errors import StorageError

_NO_PERMISSION = frozenset({errno.EACCES, errno.EPERM})
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


def make_folder(path: Path, parents: bool = False) -> None:
    """Make a folder, unless it is there; with `parents`, those above it, too.

    Raises:
        StorageError: it can't be made.
    """
    try:
        path.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise unusable(path, error) from error


def unusable(folder: Path, error: OSError) -> StorageError:
    """The error for a folder that can't be made or written to.

    The hints never suggest another folder: what was paid for in this one would be paid for again.
    """
    try:
        place = next(path for path in (folder, *folder.parents) if path.is_symlink() or path.exists())
        is_link = place.is_symlink() and not place.exists()
        is_folder = place.is_dir()
    except OSError:  # not even that can be looked up
        place, is_link, is_folder = folder, False, True
    what = f"can't write to {folder}" if place == folder and is_folder else f"can't create {folder}"
    if is_link:
        return StorageError(f"{place} is a broken symlink", "mount its disk, or delete the symlink")
    if not is_folder:
        return StorageError(f"{what}: {place} is a file, not a folder", "move or rename that file")
    why = error.strerror if place == folder else f"{error.strerror} ({place})"
    if error.errno in _NO_PERMISSION:
        hint = f"check the owner and the permissions of {place}, and of the folders above it"
    elif error.errno == errno.EROFS:
        hint = f"mount the file system of {place} for writing, and check it: a damaged one becomes read-only"
    elif error.errno in _NO_SPACE:
        hint = f"free space on the disk of {place}"
    else:
        hint = f"check {place}: its disk, its owner and its permissions"
    return StorageError(f"{what}: {why}", hint)
