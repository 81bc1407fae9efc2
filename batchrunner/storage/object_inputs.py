"""Inputs of tasks that are in buckets: several are read at once, and pictures that are known not at all.

A plan is made without an event loop, or within one that must not be used: each call has a loop of its own,
in a thread that Ctrl-C doesn't wait for.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from math import inf
from typing import Any, TypeVar
from urllib.parse import urlsplit

from batchrunner.core.errors import BatchrunnerError, StorageError
from batchrunner.core.object_url import ObjectUrl, object_url
from batchrunner.core.redaction import redacted_url
from batchrunner.media.objects import ObjectHead, ToldBefore
from batchrunner.media.picture_files import MediaFault, PictureFile, PictureRules
from batchrunner.storage.bucket import Bucket, Piece
from batchrunner.storage.object_errors import READING, Unavailable
from batchrunner.storage.picture_cache import PictureCache, cache_folder

T = TypeVar("T")
AT_ONCE = 8
"""How many objects are read at the same time."""
LARGE = 32_000_000
"""Larger pictures, in bytes, are read one by one, to bound the memory."""
_SIGNING = "use an access key, a service account's key, or an https URL that the model can read"
_ADDRESS = "write s3://bucket/path/name (or gs, az), without credentials or parameters"


class Buckets:
    """Buckets by name, each opened once."""

    def __init__(self) -> None:
        self._open: dict[str, Bucket] = {}

    def of(self, url: ObjectUrl) -> Bucket:
        """The bucket of an object.

        Raises:
            UsageError: as for `Bucket`.
        """
        if url.bucket not in self._open:
            self._open[url.bucket] = Bucket(url.bucket, READING)
        return self._open[url.bucket]


class ObjectInputs:
    """What one manifest needs of buckets; see `media.objects.Objects`."""

    def __init__(self) -> None:
        self._buckets, self._cache = Buckets(), PictureCache(cache_folder())
        self._pictures: dict[str, PictureFile | MediaFault] = {}
        self._heads: dict[str, ObjectHead | MediaFault] = {}
        self._listed: dict[str, str] = {}
        """What identifies the content of objects that were listed, by URL."""
        self._unusable: dict[str, MediaFault] = {}
        """Why a bucket can't be read, by its name."""
        self._hosts: dict[str, str] = {}
        """The hosts in links, by bucket."""
        self._told: set[str] = set()
        """The buckets of which that was reported."""

    def prepare(self, kinds: Mapping[str, str], rules: PictureRules) -> None:
        """Read what is not known yet, several at once."""
        unknown = [
            (url, kind)
            for url, kind in kinds.items()
            if url not in (self._pictures if kind == "image" else self._heads)
        ]
        if unknown:
            _in_own_loop(lambda: self._read_all(unknown, rules))

    def picture(self, url: str, rules: PictureRules) -> PictureFile:
        """What is known about a picture."""
        self.prepare({url: "image"}, rules)
        return self._known(self._pictures[url])

    def head(self, url: str) -> ObjectHead:
        """The beginning of a video or sound."""
        if url not in self._heads:
            _in_own_loop(lambda: self._read_head(url))
        return self._known(self._heads[url])

    def host(self, url: str) -> str:
        """The host in the links that are made to an object."""
        place = _parsed(url)

        async def made() -> str:
            return await self._usable(place).link(place.key)

        if place.bucket not in self._hosts:
            try:
                self._hosts[place.bucket] = urlsplit(_in_own_loop(made)).hostname or ""
            except Unavailable:
                why = StorageError(f"can't sign links to {place.bucket} with these credentials", _SIGNING)
                return self._known(self._fault(place, why))
            except BatchrunnerError as error:
                return self._known(self._fault(place, error))
        return self._hosts[place.bucket]

    def names(self, folder: ObjectUrl, deep: bool) -> list[str]:
        """The keys of the objects in a folder."""

        async def listed() -> dict[str, str]:
            return await self._buckets.of(folder).names(folder.key, deep)

        try:
            found = _in_own_loop(listed)
        except (BatchrunnerError, Unavailable) as error:
            return self._known(self._fault(folder, error))
        self._listed |= {f"{folder.bucket}/{name}": seen for name, seen in found.items()}
        return list(found)

    async def _read_all(self, inputs: list[tuple[str, str]], rules: PictureRules) -> None:
        waiting, alone = iter(inputs), asyncio.Lock()

        async def read_on() -> None:
            for url, kind in waiting:
                await (self._read_picture(url, rules, alone) if kind == "image" else self._read_head(url))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_ONCE, len(inputs))):
                group.create_task(read_on(), name="read objects")

    async def _read_picture(self, url: str, rules: PictureRules, alone: asyncio.Lock) -> None:
        async def inspected(piece: Piece) -> PictureFile:
            file = await asyncio.to_thread(rules.inspected, piece.data)
            self._cache.keep(url, piece.seen, file)
            return file

        async def read() -> PictureFile:
            place = _parsed(url)
            bucket = self._usable(place)
            if self._cache.knows(url):
                seen = self._listed.get(url) or await _seen_now(bucket, place.key)
                if known := self._cache.find(url, seen):
                    return rules.too_large(known.mime, known.size) or known

            def goes_on(head: bytes, size: int, most: float = LARGE) -> bool:
                return size <= most and rules.refused(head, size) is None

            piece = _found(url, await bucket.beginning(place.key, goes_on))
            if refused := rules.refused(piece.data, piece.size):
                return refused
            if len(piece.data) < piece.size:
                async with alone:
                    all_of_it = partial(goes_on, most=inf)
                    piece = _found(url, await bucket.beginning(place.key, all_of_it))
                    if refused := rules.refused(piece.data, piece.size):  # another object by now
                        return refused
                    return await inspected(piece)
            return await inspected(piece)

        self._pictures[url] = await self._or_fault(url, read)

    async def _read_head(self, url: str) -> None:
        async def read() -> ObjectHead:
            place = _parsed(url)
            piece = _found(url, await self._usable(place).beginning(place.key, lambda head, size: False))
            return ObjectHead(piece.size, piece.data)

        self._heads[url] = await self._or_fault(url, read)

    async def _or_fault(self, url: str, read: Callable[[], Coroutine[Any, Any, T]]) -> T | MediaFault:
        try:
            return await read()
        except MediaFault as fault:
            return fault
        except (BatchrunnerError, Unavailable) as error:
            return self._fault(_parsed(url), error)

    def _usable(self, place: ObjectUrl) -> Bucket:
        """The bucket of an object, unless it is known that it can't be read."""
        if fault := self._unusable.get(place.bucket):
            raise fault
        return self._buckets.of(place)

    def _fault(self, place: ObjectUrl, error: BatchrunnerError | Unavailable) -> MediaFault:
        """The fault of a whole bucket, so that no other object of it is asked for."""
        if isinstance(error, Unavailable):
            message, hint = f"{READING.cant} {place.bucket}: {error}", f"check the storage, {READING.then}"
        else:
            message, hint = str(error), error.hint
        return self._unusable.setdefault(place.bucket, _BucketFault(place.bucket, message, hint))

    def _known(self, found: T | MediaFault) -> T:
        if not isinstance(found, MediaFault):
            return found
        if isinstance(found, _BucketFault):
            if found.bucket in self._told:
                raise ToldBefore(found.message, found.hint)
            self._told.add(found.bucket)
        raise found.with_traceback(None)


class _BucketFault(MediaFault):
    """A fault that all objects of a bucket have."""

    def __init__(self, bucket: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.bucket = bucket


def _parsed(url: str) -> ObjectUrl:
    if place := object_url(url):
        return place
    raise MediaFault(f"not the address of an object in a bucket: {redacted_url(url)}", _ADDRESS)


def _found(url: str, piece: Piece | None) -> Piece:
    if piece is None:
        raise MediaFault(f"file not found: {url}", "correct the address, or upload the file")
    return piece


async def _seen_now(bucket: Bucket, key: str) -> str:
    found = await bucket.look(key)
    return found.seen if found else ""


def _in_own_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Wait for a coroutine that runs in a thread and a loop of its own."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(asyncio.run(work()))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="read objects", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
