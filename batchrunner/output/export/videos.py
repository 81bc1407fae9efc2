"""Copies, links and checks the videos of run directories; never changes one.

What is copied is hashed on its way, and must have the ledger's hash. What is only linked or referred to is
known to be that video if it has the size and time that it had when it was last hashed; else it is read.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path

from batchrunner.storage.files import seen_as

CHUNK = 1 << 20
"""Bytes hashed at once: it takes much longer than handing them to another thread."""
PIECE = 1 << 18
"""Bytes read and written at once: they are still in the processor's cache when they are written."""
AHEAD = 8
"""How many chunks may be copied before they are hashed."""
CHANGED = "changed or replaced after the download"

GONE = "moved or deleted"


class Unusable(Exception):
    """The video is not what the ledger says; the message says why."""


@dataclass(frozen=True, slots=True)
class VideoFile:
    """Where a finished video is, and what it must be according to the ledger."""

    path: Path
    """Absolute. If the video is in a bucket, nothing is there."""
    name: str
    """Relative to the run directory, or to the prefix in the bucket."""
    size: int
    """Bytes."""
    sha256: str
    seen: str
    """Size and modification time when its hash was last known to be right; empty if not known."""
    bucket: str = ""
    """The URL of the place in a bucket; empty if it is on the disk."""


class Copier:
    """Copies one video after the other, with the same memory; each hash has a thread that hashes the copy."""

    def __init__(self) -> None:
        self._buffers = [memoryview(bytearray(CHUNK)) for _ in range(AHEAD)]
        # Chunks must be hashed in order, so each hash has a thread of its own.
        self._threads = [ThreadPoolExecutor(1, thread_name_prefix="hash") for _ in range(2)]

    def copy(
        self, video: VideoFile, write: Callable[[memoryview], object], also: hashlib._Hash | None = None
    ) -> None:
        """Write a video's bytes, and update a hash with them, if given.

        Raises:
            Unusable: it is not the video that was verified. By then, some of it may have been written.
        """
        digest, left = hashlib.sha256(), video.size
        hashers = list(zip(self._threads, [digest, also] if also else [digest], strict=False))
        hashing: deque[list[Future[None]]] = deque()
        try:
            with _opened(video) as fd:
                for buffer in cycle(self._buffers):
                    if not left:
                        break
                    if len(hashing) == AHEAD:  # this buffer's former content
                        _await(hashing.popleft())
                    chunk = buffer[: min(left, CHUNK)]
                    _copy(fd, chunk, write)
                    hashing.append([thread.submit(one.update, chunk) for thread, one in hashers])
                    left -= len(chunk)
            _await(chain(*hashing))
        finally:
            wait(list(chain(*hashing)))
        if digest.hexdigest() != video.sha256:
            raise Unusable(CHANGED)


def link_video(video: VideoFile, target: Path, verify: bool) -> None:
    """Hard-link a video.

    Raises:
        Unusable: it is not the video that was verified.
        OSError: there can't be a link, as from another file system.
    """
    check_video(video, verify)
    os.link(os.path.realpath(video.path), target)


def check_there(video: VideoFile) -> None:
    """Check that there is a file of the right size, unless it would be in a bucket; nothing is read.

    Raises:
        Unusable: there is not.
    """
    if not video.bucket:
        with _opened(video):
            pass


def check_video(video: VideoFile, verify: bool) -> None:
    """Check that a video is in place; with `verify`, hash it in any case.

    Raises:
        Unusable: it is not.
    """
    with _opened(video) as fd:
        if video.seen != seen_as(os.fstat(fd)) or verify:
            with os.fdopen(os.dup(fd), "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            if digest != video.sha256:
                raise Unusable(CHANGED)


@contextmanager
def _opened(video: VideoFile) -> Iterator[int]:
    """Open a video that has the right size."""
    try:
        fd = os.open(video.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unusable(GONE) from error
    except OSError as error:
        raise Unusable(f"can't be read: {error.strerror}") from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size != video.size:
            raise Unusable(CHANGED)
        yield fd
    finally:
        os.close(fd)


def _await(hashing: Iterable[Future[None]]) -> None:
    for one in hashing:
        one.result()


def _copy(fd: int, chunk: memoryview, write: Callable[[memoryview], object]) -> None:
    """Fill a chunk from a file, and write it.

    Raises:
        Unusable: there are not so many bytes.
    """
    while chunk:
        piece = chunk[: _read(fd, chunk[:PIECE])]
        if not piece:
            raise Unusable(CHANGED)
        write(piece)
        chunk = chunk[len(piece) :]


def _read(fd: int, buffer: memoryview) -> int:
    try:
        return os.readv(fd, [buffer])
    except OSError as error:
        raise Unusable(f"can't be read: {error.strerror}") from error
