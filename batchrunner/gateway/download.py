"""Streams files: through the gateway with the key, or from a link without it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping

import aiohttp
from yarl import URL

from batchrunner.core.outcome import PROXY, Fetched, FetchFailed, FetchOutcome, Receipt
from batchrunner.core.redaction import redacted
from batchrunner.gateway import wire
from batchrunner.gateway.address import LinkResolver, PrivateAddress, on_the_way
from batchrunner.gateway.key import ApiKey
from batchrunner.gateway.proxies import shown_proxy

LONGEST_DOWNLOAD = 1200.0
"""Seconds; a slower download is aborted, so that it doesn't block the others."""
CHUNK = 1 << 20

NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""Exceptions that a request may raise."""


class Downloads:
    """Downloads from one gateway with one key; each ends in an outcome."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        resolver: LinkResolver,
        key: ApiKey,
        read: Callable[[aiohttp.ClientResponse], Awaitable[wire.Answer]],
    ) -> None:
        self._session, self._resolver, self._key, self._read = session, resolver, key, read

    async def fetch_link(self, url: str, write: Callable[[bytes], None], at_most: int) -> FetchOutcome:
        """Stream a link's file, unless it points into a private network; the body of an error is dropped."""
        try:
            target = URL(url, encoded=True)
            if target.scheme not in ("http", "https") or not target.host:
                raise ValueError(url)
            await self._resolver.check_host(target.host)
        except PrivateAddress as error:
            return _private(error)
        except ValueError:
            return FetchFailed(Receipt(code="bad_url", message="the link is not a URL"), permanent=True)
        outcome = await self.fetch(target, {}, write, at_most)
        if isinstance(outcome, FetchFailed) and outcome.receipt.status:
            # Another host's error body doesn't belong in the ledger.
            status, code = outcome.receipt.status, outcome.receipt.code
            told = Receipt(status, code=code, message=f"the link's host answered HTTP {status}")
            return FetchFailed(told, outcome.permanent)
        return outcome

    async def fetch(
        self, url: URL, headers: Mapping[str, str], write: Callable[[bytes], None], at_most: int
    ) -> FetchOutcome:
        """Stream a body of up to `at_most` bytes into `write`, which runs in a thread; return the rest."""
        size, held, pieces, writing = 0, 0, list[bytes](), _Writing(write)
        try:
            async with (
                asyncio.timeout(LONGEST_DOWNLOAD),
                self._session.get(url, allow_redirects=False, **on_the_way(url, headers)) as response,
            ):
                if response.status != 200:
                    return FetchFailed(self._key.masked(wire.receipt_of(await self._read(response))))
                if "json" in response.content_type or "html" in response.content_type:
                    receipt = self._key.masked(wire.receipt_of(await self._read(response)))
                    return FetchFailed(Receipt(200, receipt.request_id, "no_video", receipt.message))
                async for chunk in response.content.iter_any():
                    size += len(chunk)
                    held += len(chunk)
                    pieces.append(chunk)
                    if size > at_most:
                        message = f"more than {at_most:,} bytes"
                        return FetchFailed(Receipt(200, code="too_large", message=message), permanent=True)
                    if held >= CHUNK:
                        await writing.begin(pieces)
                        held, pieces = 0, []
            await writing.ended()
        except NETWORK_ERRORS as error:
            if isinstance(reason := getattr(error, "os_error", error), PrivateAddress):
                return _private(reason)
            return FetchFailed(no_answer(error, self._key))
        finally:
            writing.abandon()
        return Fetched(size, b"".join(pieces))


class _Writing:
    """Writes what has arrived in a thread, while more arrives."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._last: asyncio.Future[None] | None = None

    async def begin(self, pieces: Iterable[bytes]) -> None:
        """Begin to write pieces after the previous ones are written; raises what `write` raised for those."""
        await self.ended()
        # Joining gives up Python's lock; the event loop would wait until it gets it back.
        self._last = asyncio.get_running_loop().run_in_executor(None, lambda: self._write(b"".join(pieces)))

    async def ended(self) -> None:
        """Wait until everything is written; raises what `write` raised."""
        if self._last:
            await self._last
            self._last = None

    def abandon(self) -> None:
        """After a failure: drop what no thread has begun to write, and its error."""
        if self._last and not self._last.cancel() and not self._last.cancelled():
            self._last.exception()


def no_answer(error: Exception, key: ApiKey) -> Receipt:
    """A receipt with an exception's message, without the key and other secrets."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        message = f"the proxy {shown_proxy('https')} answered {error.status} {error.message}"
        return Receipt(code=PROXY, message=redacted(message))
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        message = f"the proxy {error.host}:{error.port} can't be reached: {error.strerror}"
        return Receipt(code=PROXY, message=redacted(message))
    words = redacted(_words(error))
    code = "timeout" if isinstance(error, TimeoutError) else "no_answer"
    return Receipt(code=code, message=key.mask(words)[: wire.MESSAGE_LENGTH])


def _words(error: Exception) -> str:
    """An exception's message; for a failed connection, the system's error text."""
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno or 0
        if number > 0:
            return f"no connection to {error.host}:{error.port}: {os.strerror(number)}"
    return str(error) or type(error).__name__


def _private(error: PrivateAddress) -> FetchFailed:
    return FetchFailed(Receipt(code="private_address", message=str(error)), permanent=True)
