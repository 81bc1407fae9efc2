"""Locks a run directory with a kernel lock, which is released when its process ends."""

from __future__ import annotations

import fcntl
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from batchrunner.core.errors import BusyError, StorageError, UsageError
from batchrunner.core.file_names import LOCK_NAME
from batchrunner.core.text import command

GLANCES, GLANCE = 10, 0.02
"""How often a lock held by another process is tried, and the interval in seconds."""
_OCTAL = re.compile(r"\\([0-7]{3})")
"""How the kernel escapes blanks and backslashes in mount points."""

NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "glusterfs", "gpfs", "lustre"}
    | {"ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs"}
)
"""Where the lock, SQLite's own locks and fsync are all unreliable."""


class RunLock:
    """Locks a run directory until it is released.

    Both the folder and the file `lock` in it are locked: other tools can lock the file, but it can be
    deleted during a run; the folder can't. The file is never removed, and means nothing by itself.

    A process that the host of a run forks has the same lock, as locks belong to open files: it gives its
    copies up at once, without releasing the lock, so that only the run's own process holds it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._fds: list[int] = []

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            BusyError: another process holds it.
            UsageError: the directory is on a network file system.
            StorageError: the lock file can't be created.
        """
        kind = file_system(self._directory)
        if kind in NETWORK_FILE_SYSTEMS:
            raise UsageError(
                f"{self._directory} is on a network file system ({kind}): locks are unreliable there",
                "use a local disk; move a run directory that was used there as a whole, and name it with -o",
            )
        _HELD.add(self)
        try:
            self._fds.append(os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            path = self._directory / LOCK_NAME
            self._fds.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            self.release()
            raise StorageError(
                f"can't write to {self._directory}: {error.strerror}", "check its owner and permissions"
            ) from error
        for _ in range(GLANCES):
            if all(_locked(fd, fcntl.LOCK_EX) for fd in self._fds):
                return
            time.sleep(GLANCE)  # `status` may hold it for a moment
        self.release()
        raise _busy(self._directory)

    def release(self) -> None:
        """Release the lock; does nothing if it isn't held."""
        while self._fds:
            fd = self._fds.pop()
            with suppress(OSError):
                fcntl.flock(fd, fcntl.LOCK_UN)  # closing it releases nothing if a library has forked
            os.close(fd)
        _HELD.discard(self)

    def give_up_copy(self) -> None:
        """Close what a forked process has of a lock, which its parent still holds."""
        while self._fds:
            os.close(self._fds.pop())

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_HELD: set[RunLock] = set()
"""The locks that this process holds."""


def _give_up_copies() -> None:
    for lock in _HELD:
        lock.give_up_copy()
    _HELD.clear()


os.register_at_fork(after_in_child=_give_up_copies)


def check_free(directory: Path) -> None:
    """Check that no process is using a run directory right now, before a run says or asks anything.

    Raises:
        BusyError: one is using it.
    """
    if is_locked(directory):
        raise _busy(directory)


def _busy(directory: Path) -> BusyError:
    follow = command("status", str(directory), "--watch")
    return BusyError(
        f"another batchrunner is using {directory}", f"wait for it to finish, or follow it with `{follow}`"
    )


def is_locked(directory: Path) -> bool:
    """Whether a process is using a run directory right now."""
    for path in (directory, directory / LOCK_NAME):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if not _locked(fd, fcntl.LOCK_SH):
                return True
        finally:
            os.close(fd)
    return False


def _locked(fd: int, how: int) -> bool:
    """Try to take a lock, without waiting."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def file_system(directory: Path) -> str:
    """The type of the file system that `directory` is on, as Linux names it; empty if unknown."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    path = os.path.realpath(directory)
    best, kind = "", ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        mount_point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        inside = path == mount_point or path.startswith(mount_point.rstrip("/") + "/")
        if inside and len(mount_point) >= len(best):
            best, kind = mount_point, after.split(" ")[0]
    return kind


def lock_holders(directory: Path) -> list[int]:
    """The processes that use a run directory, as far as Linux shows them; empty if unknown.

    Files are compared by inode: some file systems show another device than `stat` does.
    """
    inodes = set()
    for path in (directory, directory / LOCK_NAME):
        with suppress(OSError):
            inodes.add(str(path.stat().st_ino))
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    held = (line.split() for line in locks.splitlines() if " FLOCK " in line and "->" not in line)
    found = {int(words[4]) for words in held if words[3] == "WRITE" and words[5].split(":")[-1] in inodes}
    return sorted(found - {0})
