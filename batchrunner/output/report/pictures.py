"""The report's pictures: frames of videos, and small copies of input pictures. Made once, and kept."""

from __future__ import annotations

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

_INPUT = Fit(side=320, max_bytes=60_000)
_LARGEST_INPUT = 64_000_000
"""Bytes; the model takes no larger picture."""
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
        self._inputs: dict[str, dict[str, str]] = {}
        """Small copies of input pictures, by path in the manifest and hash."""

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

    def of_input(self, shown: str, hashes: Iterable[str]) -> str:
        """The path of an input picture's small copy, relative to the run directory; empty if there is none.

        `shown` is the path as the manifest has it. Only a file whose SHA-256 is one of `hashes`, those in the
        request, is the picture that was sent.
        """
        if shown not in self._inputs:
            self._inputs[shown] = dict(self._found(shown))
        wanted = (self._inputs[shown].get(sha256, "") for sha256 in hashes)
        return next(filter(None, wanted), "")

    def _found(self, shown: str) -> Iterator[tuple[str, str]]:
        """The hash of each file that this path may mean, and the path of its small copy."""
        for folder in self._input_folders:
            with suppress(OSError, ValueError, BrokenPicture):
                path = folder / shown
                if not path.is_file() or path.stat().st_size > _LARGEST_INPUT:
                    continue
                data = path.read_bytes()
                if can_open(mime := picture_type(data[:HEAD])):
                    sha256 = hashlib.sha256(data).hexdigest()
                    name = f"input-{sha256[:_NAME_LENGTH]}.jpg"
                    if not (self._folder / name).exists():
                        make_folder(self._folder)
                        write_over(self._folder / name, fitted(data, mime, _INPUT))
                    yield sha256, f"{PICTURES}/{name}"

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
