"""Writes files atomically: part file, fsync, rename, fsync of the folder.

A part file is locked by its writer until it is renamed. Whoever begins to write to a folder removes the part
files there that nobody has locked: those of killed writers. A run, which holds the run directory's lock, does
so for all names, other commands only for the names that they write.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from batchrunner.core.errors import StorageError

T = TypeVar("T")

WRITE_OUT = 16 << 20
"""Bytes after which the system is asked to write to the disk, so that the final fsync finds little to do."""

HASHED_AT_ONCE = 1 << 16
"""Bytes: fewer are hashed sooner than another thread takes them over."""

_HASHERS = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="hash")
"""Hashing takes more time than everything else of a download, so it has threads of its own."""


_SUFFIX = ".part"


def part_of(final: Path) -> Path:
    """A new name for the part file of a file."""
    return final.with_name(f".{final.stem}.{secrets.token_hex(4)}{_SUFFIX}")


def open_part(part: Path) -> int:
    """Create a part file and lock it, until the descriptor that is returned is closed.

    Raises:
        OSError: it can't be created.
    """
    while True:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)  # somebody took it for a killed writer's before it was locked


@contextmanager
def replacing(final: Path) -> Iterator[BinaryIO]:
    """Write a part file that replaces a file when the block ends; without fsync.

    Raises:
        OSError: it can't be written; the older file is still there, and no part file.
    """
    part = part_of(final)
    try:
        with os.fdopen(open_part(part), "w+b") as file:
            yield file
            file.flush()
            part.replace(final)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


class PartFile:
    """A download in progress. The file is created by the first write.

    Its methods run in threads; the lock stops `discard`, after a cancelled download, from closing a
    descriptor that a thread is still writing to.
    """

    def __init__(self, final: Path) -> None:
        self._final = final
        self._path = part_of(final)
        self._fd: int | None = None
        self._is_discarded = False
        self._lock = threading.Lock()
        self._sha256 = hashlib.sha256()
        self._hashing: Future[None] | None = None
        self._dirty = 0

    @classmethod
    def left_by_worker(cls, final: Path, path: Path, size: int) -> PartFile:
        """A part file that another process has verified and synced.

        Raises:
            OSError: it isn't there with that size.
        """
        part = cls(final)
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        part._path, part._fd = path, fd
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_size != size:
            part.discard()
            raise FileNotFoundError(2, "the part file is not as it was left", str(path))
        return part

    @property
    def path(self) -> Path:
        """The part file, which exists once something was written, until it is put in place or discarded."""
        return self._path

    def write(self, data: bytes) -> None:
        """Append data.

        Raises:
            StorageError: the disk returned an error.
        """
        with self._lock, _disk_errors(self._path):
            if not self._is_discarded:  # a thread may be late: nothing may be created any more
                self._append(data)

    def verified(self, check: Callable[[Path], T], rest: bytes = b"") -> tuple[T, str]:
        """Append the rest, verify and sync the file; return the result of `check` and the SHA-256.

        Exceptions from `check` are passed on.

        Raises:
            StorageError: the disk returned an error.
        """
        with self._lock, _disk_errors(self._path):
            self._fd = self._append(rest)
            facts = check(self._path)
            os.fsync(self._fd)
            self._wait_for_hash()
        return facts, self._sha256.hexdigest()

    def put_in_place(self) -> os.stat_result:
        """Rename the file to its final name, durably; return its size and times.

        Raises:
            FileExistsError: the name is taken; nothing is overwritten.
            StorageError: the disk returned an error.
        """
        with self._lock:
            if os.path.lexists(self._final):
                raise FileExistsError(17, "the name is taken", str(self._final))
            with _disk_errors(self._final):
                self._path.rename(self._final)
                sync_directory(self._final.parent)
                found = self._final.stat()
            if self._fd is not None:  # nothing is left to discard
                os.close(self._fd)
                self._fd = None
            return found

    def leave(self) -> None:
        """Close the verified file, for another process to put it in place."""
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None

    def discard(self) -> None:
        """Close and remove the part file unless it is in place; if that fails, the next run removes it."""
        with self._lock:
            self._is_discarded = True
            fd, self._fd = self._fd, None
            if fd is None:
                return
            with suppress(OSError):
                os.close(fd)
            with suppress(OSError):
                self._path.unlink()

    def _append(self, data: bytes) -> int:
        """Write `data`, and begin to hash it; return the file's descriptor."""
        if self._fd is None:
            self._fd = open_part(self._path)
        self._wait_for_hash()  # pieces must be hashed in their order
        if len(data) < HASHED_AT_ONCE:
            self._sha256.update(data)
        else:
            self._hashing = _HASHERS.submit(self._sha256.update, data)
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self._dirty += len(data)
        if self._dirty >= WRITE_OUT:
            begin_write_out(self._fd)
            self._dirty = 0
        return self._fd

    def _wait_for_hash(self) -> None:
        if self._hashing:
            self._hashing.result()
            self._hashing = None


def begin_write_out(fd: int, start: int = 0) -> None:
    """Ask the system to start writing a file to the disk; it may refuse, and errors are left to fsync.

    What lies before `start` is being written already: to look through all of a large file takes time.
    """
    if hasattr(os, "posix_fadvise"):  # not on macOS
        with suppress(OSError):
            os.posix_fadvise(fd, start, 0, os.POSIX_FADV_DONTNEED)


class _disk_errors:  # noqa: N801  used like a function
    """Turns an OSError into a StorageError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StorageError(
                f"can't write {self._path}: {error.strerror}",
                "free disk space or fix the disk, then run the same command again; no paid video is lost",
            ) from error


def seen_as(found: os.stat_result) -> str:
    """Size and modification time, to detect a changed file without reading it."""
    return f"{found.st_size} {found.st_mtime_ns}"


def sync_directory(directory: Path) -> None:
    """Make a rename in this folder durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_part_files(directory: Path, final: str = "") -> None:
    """Remove part files left by killed writers, where possible; only those of the file `final`, if given."""
    name = glob.escape(Path(final).stem) if final else "*"
    for path in directory.glob(f".{name}.{'[0-9a-f]' * 8}{_SUFFIX}"):
        with suppress(OSError):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if _is_left_over(fd):  # and stays so while we have it locked
                    path.unlink()
            finally:
                os.close(fd)


def _is_left_over(fd: int) -> bool:
    """Lock a part file that nobody is writing; False if somebody is, or if it has just been renamed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # not every file system has locks
    return os.fstat(fd).st_nlink > 0


def keep_small(path: Path, data: bytes) -> None:
    """Write a small file atomically, unless it is already there, for instance from a killed run.

    Raises:
        FileExistsError: a different file has the name.
    """
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    part = PartFile(path)
    try:
        part.verified(lambda _: None, data)
        part.put_in_place()
    finally:
        part.discard()


def write_over(path: Path, data: bytes) -> None:
    """Write a file that can be made again at any time: replace an older one atomically, without fsync.

    Raises:
        StorageError: it can't be written; the older one is still there.
    """
    try:
        with replacing(path) as file:
            file.write(data)
    except OSError as error:
        raise StorageError(
            f"can't write {path}: {error.strerror}", "free disk space or fix the permissions, then try again"
        ) from error
