"""One prefix of a bucket (S3 and others), reached with the library obstore: look, put, read, list.

Every error becomes `Unavailable` or a `StorageError`. Credentials, endpoint and region come from the
provider's environment variables and files, and are nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from batchrunner.core.errors import UsageError
from batchrunner.storage.aws import AwsKeys, keys_in_environment, keys_in_file, region
from batchrunner.storage.library import check_library
from batchrunner.storage.object_errors import NO_BUCKET, STORING, Purpose, Unavailable, cant_use, translated

if TYPE_CHECKING:
    from obstore.store import (
        AzureStore,
        ClientConfig,
        GCSStore,
        RetryConfig,
        S3Config,
        S3Credential,
        S3Store,
    )

ONE_PUT = 64 << 20
"""Bytes up to which a file is stored by one request."""
PART_SIZE = 16 << 20
"""Bytes of each part of a larger file."""

CHUNK = 64 << 10
"""Bytes that are read at once of an object that may not be needed as a whole."""
LINK_LIVES = timedelta(hours=72)
"""As long as a task may wait at the model (`execution_expires_after`); the providers' limit is a week."""

_ALLOW_HTTP = {"s3": "AWS_ALLOW_HTTP", "gs": "GOOGLE_ALLOW_HTTP", "az": "AZURE_ALLOW_HTTP"}
_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".wav": "audio/wav", ".mp3": "audio/mpeg"}
_YES = frozenset({"1", "true", "on", "yes", "y"})


class Found(NamedTuple):
    """An object, as a look shows it."""

    size: int
    seen: str
    """What identifies its content; a list of objects says the same."""
    metadata: dict[str, str]


class Piece(NamedTuple):
    """An object's content, or its beginning."""

    size: int
    """Of the whole object, in bytes."""
    seen: str
    """As in `Found`."""
    data: bytes


class Bucket:
    """The objects below one URL."""

    def __init__(self, url: str, purpose: Purpose = STORING) -> None:
        """Send nothing yet; `purpose` is for the words of errors.

        Raises:
            UsageError: the library is not installed, or the environment has something that it can't use.
        """
        self.url, self._store, self._purpose = url, _opened(url, purpose.patience), purpose

    async def look(self, name: str) -> Found | None:
        """Size and metadata of an object; None if there is none."""
        import obstore  # noqa: PLC0415  only for runs that use it

        with self._errors():
            try:
                answer = await obstore.get_async(self._store, name, options={"head": True})
            except FileNotFoundError:
                return None
        size = answer.meta["size"]
        return Found(size, _seen(size, answer.meta["e_tag"]), _named(answer.attributes.items()))

    def metadata_now(self, name: str) -> dict[str, str]:
        """The metadata of an object, empty if there is none; blocks until there is an answer.

        Raises:
            StorageError: there is none.
        """
        import obstore  # noqa: PLC0415  only for runs that use it

        try:
            with self._errors():
                try:
                    known = obstore.get(self._store, name, options={"head": True}).attributes.items()
                except FileNotFoundError:
                    return {}
        except Unavailable as error:
            raise cant_use(self.url, str(error), purpose=self._purpose) from None
        return _named(known)

    async def put(
        self, name: str, content: bytes | Path, metadata: dict[str, str], overwrites: bool = False
    ) -> None:
        """Send an object; whether it is there then, or another one, must be looked up.

        The server checks the hash of what it gets. Only with `overwrites` may there be an object already.
        """
        import obstore  # noqa: PLC0415  only for runs that use it
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        kind = _TYPES.get(name[-4:], "application/octet-stream")
        send = partial(obstore.put_async, self._store, name, attributes={"Content-Type": kind, **metadata})
        with self._errors():
            try:
                if isinstance(content, Path) and content.stat().st_size > ONE_PUT:
                    await send(file=content, use_multipart=True, chunk_size=PART_SIZE, max_concurrency=2)
                    return
                data = await asyncio.to_thread(content.read_bytes) if isinstance(content, Path) else content
                await send(file=data, use_multipart=False, mode="overwrite" if overwrites else "create")
            except AlreadyExistsError:
                return
            except FileNotFoundError:
                raise cant_use(self.url, "HTTP 404", "create the bucket, or check its name") from None

    async def read(self, name: str) -> bytes | None:
        """A small object's content; None if there is none."""
        import obstore  # noqa: PLC0415  only for runs that use it

        with self._errors():
            try:
                answer = await obstore.get_async(self._store, name)
                return bytes(await answer.bytes_async())
            except FileNotFoundError:
                return None

    async def fetch(self, name: str, write: Callable[[bytes], object]) -> bool:
        """Hand over an object's content, piece by piece, in a thread; return whether there is such an object.

        After an error, some of it has been handed over.
        """
        import obstore  # noqa: PLC0415  only for runs that use it

        with self._errors():
            try:
                answer = await obstore.get_async(self._store, name)
                async for piece in answer.stream():
                    await asyncio.to_thread(write, bytes(piece))
            except FileNotFoundError:
                return False
        return True

    async def sha256(self, name: str) -> str:
        """The hash of an object's content, which is read for that."""
        digest = hashlib.sha256()
        await self.fetch(name, digest.update)
        return digest.hexdigest()

    async def listing(self, folder: str) -> dict[str, str]:
        """What identifies each object in a folder, by name."""
        import obstore  # noqa: PLC0415  only for runs that use it

        found = {}
        with self._errors():
            async for some in obstore.list(self._store, f"{folder}/"):
                found.update({one["path"]: _seen(one["size"], one["e_tag"]) for one in some})
        return found

    async def names(self, folder: str, deep: bool) -> dict[str, str]:
        """What identifies each object in a folder, by name; with `deep`, also of those in its subfolders.

        Objects that stand for folders are left out.
        """
        import obstore  # noqa: PLC0415  only for runs that use it

        found, folders = dict[str, str](), {folder}
        with self._errors():
            if deep:
                async for some in obstore.list(self._store, folder or None):
                    found.update({one["path"]: _seen(one["size"], one["e_tag"]) for one in some})
                folders |= {name.rpartition("/")[0] for name in found}
            else:
                listed = await obstore.list_with_delimiter_async(self._store, folder or None)
                found = {one["path"]: _seen(one["size"], one["e_tag"]) for one in listed["objects"]}
                folders |= set(listed["common_prefixes"])
        return {name: seen for name, seen in found.items() if name not in folders}

    async def beginning(self, name: str, goes_on: Callable[[bytes, int], bool]) -> Piece | None:
        """An object's content, at least its first bytes; None if there is no such object.

        `goes_on` is given the first bytes and the size of the whole, and says whether to read all of it.
        """
        import obstore  # noqa: PLC0415  only for runs that use it

        data, is_judged = bytearray(), False
        with self._errors():
            try:
                answer = await obstore.get_async(self._store, name)
                size = answer.meta["size"]
                async for piece in answer.stream(min_chunk_size=CHUNK):
                    data += piece
                    if not is_judged and not goes_on(bytes(data[:CHUNK]), size):
                        break
                    is_judged = True
            except FileNotFoundError as error:
                if NO_BUCKET in str(error):
                    raise
                return None
        return Piece(size, _seen(size, answer.meta["e_tag"]), bytes(data))

    async def link(self, name: str) -> str:
        """A URL by which anybody can read an object for some days. It is a secret.

        Raises:
            StorageError: there are no credentials that can sign it.
        """
        import obstore  # noqa: PLC0415  only for runs that use it

        with self._errors():
            return await obstore.sign_async(self._store, "GET", name, LINK_LIVES)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the library's errors into ours, without their messages, which may contain secrets."""
        from obstore.exceptions import BaseError  # noqa: PLC0415  only for runs that use it

        try:
            yield
        except (BaseError, FileNotFoundError, OSError, ValueError) as error:
            raise translated(error, self.url, self._purpose) from None


def _opened(url: str, patience: timedelta) -> S3Store | GCSStore | AzureStore:
    check_library()
    from obstore.store import S3Store, from_url  # noqa: PLC0415  only for runs that use it

    client: ClientConfig = {
        "timeout": patience,
        "connect_timeout": timedelta(seconds=10),
        # The library takes this from the environment only if it is given no other options.
        "allow_http": os.environ.get(_ALLOW_HTTP[url.partition(":")[0]], "").lower() in _YES,
    }
    retry: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(minutes=1)}
    try:
        if not url.startswith("s3:"):
            other = from_url(url, client_options=client, retry_config=retry)
            return cast("GCSStore | AzureStore", other)
        more: S3Config = {"checksum_algorithm": "SHA256"}
        if where := region():
            more["region"] = where
        keys = None if keys_in_environment() else keys_in_file()
        return S3Store.from_url(
            url,
            config=more,
            client_options=client,
            retry_config=retry,
            credential_provider=_provider(keys) if keys else None,
        )
    except Exception as error:  # its message may contain what the environment says
        raise UsageError(
            f"can't use {url}: {type(error).__name__}", "check the provider's environment variables"
        ) from None


def _provider(keys: AwsKeys) -> Callable[[], S3Credential]:
    """What gives the library a key that it can't find by itself."""
    return lambda: {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "token": keys.token or None,
        "expires_at": None,
    }


def _named(attributes: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {str(name).lower(): value for name, value in attributes}


def _seen(size: int, e_tag: str | None) -> str:
    return f"{size} {e_tag or ''}".rstrip()
