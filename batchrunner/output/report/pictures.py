"""The report's pictures: frames of videos, and small copies of input pictures. Made once, and kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from batchrunner.core.file_names import PICTURES
from batchrunner.core.model import Fit
from batchrunner.media.pictures import HEAD, BrokenPicture, can_open, fitted, picture_type
from batchrunner.media.probe import NotPlayable
from batchrunner.media.stills import stills
from batchrunner.storage.files import write_over
from batchrunner.storage.folders import make_folder
from batchrunner.storage.object_videos import ObjectVideos

_INPUT = Fit(side=320, max_bytes=60_000)
_LARGEST_INPUT = 64_000_000
"""Bytes; the model takes no larger picture."""
_FETCHED_AT_ONCE = 8
"""How many objects are copied to the disk at once."""
_NAME_LENGTH = 24
"""Hex digits of the hash in a picture's name."""


class Pictures:
    """The folder of pictures of a run directory. A name is made of the hash of what it shows."""

    def __init__(self, directory: Path, input_folders: Sequence[Path] = ()) -> None:
        """`input_folders` are where the manifest's local pictures may be."""
        self._folder = directory / PICTURES
        self._input_folders = input_folders
        self._wanted: dict[str, Path] = {}
        """Videos whose picture is still to be made, by its name."""
        self._objects: dict[str, tuple[ObjectVideos, str]] = {}
        """The same of videos in a bucket: the place and the name of each."""
        self._inputs: dict[str, dict[str, Path]] = {}
        """The files that a path in the manifest may mean, by hash."""
        self._copies: dict[str, str] = {}
        """The small copies of those that were sent, by hash; empty where none can be made."""

    def of_video(self, video: Path, found: os.stat_result, sha256: str | None, size: int | None) -> str:
        """The path of a video's picture, relative to the run directory; it is made by `make`.

        A file that is not the one that was verified (`sha256`, `size` in bytes) has its own picture.
        """
        told = sha256 if sha256 and found.st_size == size else f"{video} {found.st_size} {found.st_mtime_ns}"
        known = told[:_NAME_LENGTH] if told == sha256 else _digest(told.encode("utf-8", "surrogateescape"))
        name = f"{known}.jpg"
        if not (self._folder / name).exists():
            self._wanted[name] = video
        return f"{PICTURES}/{name}"

    def of_object(self, place: ObjectVideos, name: str, sha256: str) -> str:
        """The same for a video in a bucket; its picture is made by `make_of_objects`."""
        picture = f"{sha256[:_NAME_LENGTH]}.jpg"
        if not (self._folder / picture).exists():
            self._objects[picture] = place, name
        return f"{PICTURES}/{picture}"

    def of_input(self, shown: str, hashes: Iterable[str]) -> str:
        """The path of an input picture's small copy, relative to the run directory; empty if there is none.

        `shown` is the path as the manifest has it. Only a file whose SHA-256 is one of `hashes`, those in the
        request, is the picture that was sent.
        """
        if shown not in self._inputs:
            self._inputs[shown] = dict(self._found(shown))
        wanted = ((sha256, path) for sha256 in hashes if (path := self._inputs[shown].get(sha256)))
        return next((copy for sha256, path in wanted if (copy := self._copy(sha256, path))), "")

    def _found(self, shown: str) -> Iterator[tuple[str, Path]]:
        """The files that this path may mean, each with its hash."""
        for folder in self._input_folders:
            with suppress(OSError, ValueError):
                path = folder / shown
                if path.is_file() and path.stat().st_size <= _LARGEST_INPUT:
                    yield hashlib.sha256(path.read_bytes()).hexdigest(), path

    def _copy(self, sha256: str, path: Path) -> str:
        """The path of the small copy of a picture with this hash; empty if none can be made."""
        if sha256 not in self._copies:
            name = f"input-{sha256[:_NAME_LENGTH]}.jpg"
            is_there = (self._folder / name).exists() or self._is_copied(sha256, path, self._folder / name)
            self._copies[sha256] = f"{PICTURES}/{name}" if is_there else ""
        return self._copies[sha256]

    def _is_copied(self, sha256: str, path: Path, copy: Path) -> bool:
        with suppress(OSError, BrokenPicture):
            data = path.read_bytes()
            is_same = hashlib.sha256(data).hexdigest() == sha256  # it may just have been replaced
            if is_same and can_open(mime := picture_type(data[:HEAD])):
                make_folder(self._folder)
                write_over(copy, fitted(data, mime, _INPUT))
                return True
        return False

    def make(self, progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Path]:
        """Make the pictures that are missing; return the videos that can't be decoded, by picture.

        `progress` is called with how many are made, and of how many.

        Raises:
            StorageError: a picture can't be written.
        """
        if not self._wanted:
            return {}
        make_folder(self._folder)
        broken: dict[str, Path] = {}
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="picture") as pool:
            made = pool.map(self._make_one, self._wanted.items())
            for number, (wanted, is_made) in enumerate(zip(self._wanted.items(), made, strict=True), 1):
                if not is_made:
                    broken[f"{PICTURES}/{wanted[0]}"] = wanted[1]
                progress(number, len(self._wanted))
        self._wanted.clear()
        return broken

    async def make_of_objects(
        self, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> dict[str, Path]:
        """Make the missing pictures of videos in buckets, a few at once, as `make` does.

        Raises:
            StorageError: a picture can't be written, or a bucket can't be read.
        """
        if self._objects:
            make_folder(self._folder)
        broken: dict[str, Path] = {}
        total, left = len(self._objects), list(self._objects.items())

        async def work() -> None:
            while left:
                picture, (place, name) = left.pop()
                async with place.copy(name) as path:
                    if not await asyncio.to_thread(self._make_one, (picture, path)):
                        broken[f"{PICTURES}/{picture}"] = Path(name)
                progress(total - len(left), total)

        await asyncio.gather(*(work() for _ in range(_FETCHED_AT_ONCE)))
        self._objects.clear()
        return broken

    def _make_one(self, wanted: tuple[str, Path]) -> bool:
        name, video = wanted
        try:
            write_over(self._folder / name, stills(video))
        except (NotPlayable, OSError):
            return False
        return True


def hashes_in(request: object) -> Iterator[str]:
    """The SHA-256 of every local file in a request from the ledger."""
    if isinstance(request, dict):
        if isinstance(sha256 := request.get("sha256"), str):
            yield sha256
        for value in request.values():
            yield from hashes_in(value)
    elif isinstance(request, list):
        for value in request:
            yield from hashes_in(value)


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:_NAME_LENGTH]
