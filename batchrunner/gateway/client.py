"""The aiohttp client: three sessions, because a paid POST, a query and a download need different rules."""

from __future__ import annotations

import asyncio
import io
import ipaddress
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import quote
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from batchrunner.core.errors import UsageError
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import (
    Fetched,
    FetchFailed,
    FetchOutcome,
    NotAdmitted,
    PollOutcome,
    Preflight,
    PreflightOutcome,
    QueryFailed,
    Receipt,
    Refusal,
    SubmitOutcome,
    Unknown,
)
from batchrunner.gateway import wire
from batchrunner.gateway.key import ApiKey
from batchrunner.version import __version__

SUBMIT_PATH = "/v1/video/generations"
MAX_JSON = 1 << 20
"""Bytes; a longer answer is none of ours."""
MAX_VIDEO = 4 << 30
LONGEST_DOWNLOAD = 1200.0
"""Seconds; a body that drips longer than this is given up, so that it doesn't hold up the others."""
CHUNK = 1 << 20

_NETWORK_ERRORS = (aiohttp.ClientError, TimeoutError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where the gateway is and how long to wait for it; real seconds."""

    base_url: str
    submit_timeout: float = 120.0
    """Silence after a POST was sent, until its outcome counts as unknown."""
    query_timeout: float = 60.0
    insecure: bool = False
    """Allow plain http to a host that is not this machine."""


class Gateway:
    """One gateway and one key; made by `Gateway.open`."""

    def __init__(self, settings: GatewaySettings, key: ApiKey, trace: aiohttp.TraceConfig) -> None:
        self._base = URL(settings.base_url.rstrip("/"))
        self._key = key
        headers = {"User-Agent": f"batchrunner/{__version__}", "Accept-Language": "en"}
        no_cookies = aiohttp.DummyCookieJar

        def timeout(silence: float, total: float | None) -> aiohttp.ClientTimeout:
            return aiohttp.ClientTimeout(total=total, sock_connect=30, sock_read=silence)

        # A POST on a kept-alive connection may die with the connection, and nobody could say whether
        # the gateway has read it: each gets a connection of its own.
        self._submit = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=timeout(settings.submit_timeout, 10 * settings.submit_timeout),
            headers=headers,
            cookie_jar=no_cookies(),
            trace_configs=[trace],
        )
        self._query = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32),
            timeout=timeout(settings.query_timeout, 2 * settings.query_timeout),
            headers=headers,
            cookie_jar=no_cookies(),
        )
        self._download = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=timeout(60.0, None),
            headers=headers | {"Accept-Encoding": "identity"},
            cookie_jar=no_cookies(),
            auto_decompress=False,
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: GatewaySettings, key: ApiKey) -> AsyncIterator[Gateway]:
        """Open the sessions for one run.

        Raises:
            UsageError: the address is unusable, or would send the key over plain http.
        """
        check_address(settings)
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_note_connected)
        gateway = cls(settings, key, trace)
        try:
            yield gateway
        finally:
            for session in (gateway._submit, gateway._query, gateway._download):
                await session.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port: what the ledger is tied to."""
        return origin(str(self._base))

    async def submit(self, body: bytes) -> SubmitOutcome:
        """POST one finished body, once: no retry, no redirect, no reused connection.

        What fails before a connection stands was not admitted; what fails later is unknown.
        """
        phase = SimpleNamespace(connected=False)
        try:
            async with self._submit.post(
                self._url(SUBMIT_PATH),
                data=io.BytesIO(body),
                headers=self._authorized() | {"Content-Type": "application/json"},
                allow_redirects=False,
                proxy=_proxy(self._base),
                trace_request_ctx=phase,
            ) as response:
                answer = await self._read(response)
        except _NETWORK_ERRORS as error:
            receipt = self._no_answer(error)
            return Unknown(receipt) if phase.connected else NotAdmitted(Refusal.UNREACHABLE, receipt)
        return self._key.masked(wire.submit_outcome(answer))

    async def poll(self, remote_id: RemoteId) -> PollOutcome:
        """Ask how a task stands."""
        try:
            answer = await self._ask(f"{SUBMIT_PATH}/{quote(remote_id, safe='')}")
        except _NETWORK_ERRORS as error:
            return QueryFailed(self._no_answer(error))
        return self._key.masked(wire.poll_outcome(answer, remote_id))

    async def preflight(self) -> PreflightOutcome:
        """Ask the one free question that shows whether address and key are right."""
        try:
            answer = await self._ask("/v1/models")
        except _NETWORK_ERRORS as error:
            return PreflightOutcome(Preflight.UNREACHABLE, frozenset(), self._no_answer(error))
        receipt = self._key.masked(wire.receipt_of(answer))
        if answer.status == 401:
            return PreflightOutcome(Preflight.WRONG_KEY, frozenset(), receipt)
        if not wire.is_json(answer):
            verdict = Preflight.UNREACHABLE if answer.status >= 500 else Preflight.WRONG_ADDRESS
            return PreflightOutcome(verdict, frozenset(), receipt)
        return PreflightOutcome(Preflight.READY, wire.models_listed(answer) or frozenset(), receipt)

    async def fetch_content(self, remote_id: RemoteId, write: Callable[[bytes], None]) -> FetchOutcome:
        """Stream a finished video through the gateway, with the key, into `write`.

        `write` runs in a thread and must not raise an OSError: that is a network error here.
        """
        url = self._url(f"/v1/videos/{quote(remote_id, safe='')}/content")
        return await self._fetch(url, self._authorized(), write, MAX_VIDEO)

    async def fetch_url(
        self, url: str, write: Callable[[bytes], None], at_most: int = MAX_VIDEO
    ) -> FetchOutcome:
        """Stream a file of `at_most` so many bytes from an upstream link into `write`, likewise.

        The key does not go there.
        """
        try:
            target = URL(url, encoded=True)
        except ValueError:
            return FetchFailed(Receipt(code="bad_url", message="the link is not a URL"), permanent=True)
        return await self._fetch(target, {}, write, at_most)

    async def _fetch(
        self, url: URL, headers: dict[str, str], write: Callable[[bytes], None], at_most: int
    ) -> FetchOutcome:
        size, pending = 0, bytearray()
        try:
            async with (
                asyncio.timeout(LONGEST_DOWNLOAD),
                self._download.get(
                    url, headers=headers, allow_redirects=False, proxy=_proxy(url)
                ) as response,
            ):
                if response.status != 200:
                    return FetchFailed(self._key.masked(wire.receipt_of(await self._read(response))))
                if "json" in response.content_type or "html" in response.content_type:
                    receipt = self._key.masked(wire.receipt_of(await self._read(response)))
                    return FetchFailed(Receipt(200, receipt.request_id, "no_video", receipt.message))
                async for chunk in response.content.iter_any():
                    size += len(chunk)
                    pending += chunk
                    if size > at_most:
                        message = f"more than {at_most:,} bytes"
                        return FetchFailed(Receipt(200, code="too_large", message=message), permanent=True)
                    if len(pending) >= CHUNK:
                        await asyncio.to_thread(write, bytes(pending))
                        pending.clear()
        except _NETWORK_ERRORS as error:
            return FetchFailed(self._no_answer(error))
        await asyncio.to_thread(write, bytes(pending))
        return Fetched(size)

    async def _ask(self, path: str) -> wire.Answer:
        async with self._query.get(
            self._url(path), headers=self._authorized(), allow_redirects=False, proxy=_proxy(self._base)
        ) as response:
            return await self._read(response)

    async def _read(self, response: aiohttp.ClientResponse) -> wire.Answer:
        """The whole answer, bounded, with the key masked should something echo it."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_JSON:
                raise ValueError("the answer is longer than 1 MB")
        masked = self._key.mask(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        return wire.Answer(
            status=response.status,
            body=masked,
            request_id=wire.storable(self._key.mask(response.headers.get("X-Oneapi-Request-Id", "")))[:100],
            retry_after=wire.retry_after_seconds(response.headers.get("Retry-After"), time.time()),
        )

    def _url(self, path: str) -> URL:
        return self._base.joinpath(path.lstrip("/"), encoded=True)

    def _authorized(self) -> dict[str, str]:
        return {"Authorization": self._key.authorization()}

    def _no_answer(self, error: Exception) -> Receipt:
        words = str(error) or type(error).__name__
        code = "timeout" if isinstance(error, TimeoutError) else "no_answer"
        return Receipt(code=code, message=self._key.mask(words)[: wire.MESSAGE_LENGTH])


def check_address(settings: GatewaySettings) -> None:
    """Pass if the key may be sent to this address.

    Raises:
        UsageError: it isn't an http(s) address, or plain http to another machine.
    """
    hint = "an address looks like https://easyrouter.io; see --base-url"
    try:
        url = URL(settings.base_url)
    except ValueError as error:
        raise UsageError(f"{settings.base_url!r} is not an address: {error}", hint) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"{settings.base_url!r} is not an http(s) address", hint)
    if url.user or url.password or url.query_string or url.fragment:
        raise UsageError("the gateway's address may not hold a user, a query or a fragment", hint)
    if url.scheme == "http" and not is_loopback(settings.base_url) and not settings.insecure:
        raise UsageError(
            f"{settings.base_url} would send the key unencrypted",
            "use https, or --insecure if the network is yours",
        )


def origin(base_url: str) -> str:
    """Scheme, host and port of an address that `check_address` passed."""
    return str(URL(base_url).origin())


def is_loopback(base_url: str) -> bool:
    """Whether an address can only be this machine."""
    host = URL(base_url).host or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _proxy(url: URL) -> URL | None:
    """The proxy that the environment names for a URL. aiohttp's own look-up would read .netrc, too."""
    if not url.host or is_loopback(str(url)) or proxy_bypass(url.host):
        return None
    address = getproxies().get(url.scheme)
    return URL(address) if address else None


async def _note_connected(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    context.trace_request_ctx.connected = True
