"""The aiohttp client: separate sessions for paid POSTs, queries and downloads, which need different rules."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from batchrunner.core.doubts.adoption import Sighting
from batchrunner.core.doubts.metering import MeterReading
from batchrunner.core.model import RemoteId
from batchrunner.core.outcome import (
    FetchOutcome,
    NotAdmitted,
    NotVisible,
    PollOutcome,
    Preflight,
    PreflightOutcome,
    QueryFailed,
    QueryRefused,
    Refusal,
    SubmitOutcome,
    Unknown,
    UsageLog,
    UsageOutcome,
)
from batchrunner.gateway import billing, wire
from batchrunner.gateway.address import LinkResolver, base_of, check_address, on_the_way, origin
from batchrunner.gateway.download import NETWORK_ERRORS, Downloads, no_answer
from batchrunner.gateway.key import ApiKey
from batchrunner.gateway.reading import storable
from batchrunner.gateway.usage import meter_reading, sighting, usage_outcome
from batchrunner.gateway.waking import awake_timeout
from batchrunner.version import __version__

SUBMIT_PATH = "/v1/video/generations"
MAX_JSON = 1 << 20
"""Bytes; the gateway never sends a longer answer."""
MAX_LOG = 4 << 20
"""Bytes; the same for the usage log with its 1,000 rows."""
METER_TIMEOUT = 10.0
"""Real seconds; a run waits for this answer but can continue without it."""
READ_AHEAD = 1 << 18
"""Bytes read from the network before a download's earlier ones are taken."""
MAX_VIDEO = 4 << 30
"""Bytes; the limit for a file, unless the caller sets one."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The gateway's address and timeouts, in real seconds."""

    base_url: str
    submit_timeout: float = 120.0
    """How long to wait for an answer to a POST before its outcome counts as unknown."""
    query_timeout: float = 60.0
    insecure: bool = False
    """Allow plain http to a remote host."""


class Gateway:
    """A client for one gateway and key; created by `Gateway.open`."""

    def __init__(self, settings: GatewaySettings, key: ApiKey, trace: aiohttp.TraceConfig) -> None:
        self._base = base_of(settings.base_url)
        self._way = on_the_way(self._base, {})  # once: looking for a proxy takes longer than an answer
        self._key = key
        self._submit_timeout = settings.submit_timeout
        headers = {"User-Agent": f"batchrunner/{__version__}", "Accept-Language": "en"}

        def timeout(silence: float | None, total: float | None) -> aiohttp.ClientTimeout:
            return aiohttp.ClientTimeout(total=total, sock_connect=30, sock_read=silence)

        # If a kept-alive connection dies during a POST, there is no way to tell whether the gateway has
        # read it: each POST gets its own connection.
        self._submit = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True, limit=0),
            timeout=timeout(None, None),  # `submit` has its own timeout
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[trace],
        )
        self._query = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=32),
            timeout=timeout(settings.query_timeout, 2 * settings.query_timeout),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        resolver = LinkResolver(self._base.host or "")
        self._download = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=resolver),
            timeout=timeout(60.0, None),
            headers=headers | {"Accept-Encoding": "identity"},
            read_bufsize=READ_AHEAD,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._downloads = Downloads(self._download, resolver, key, self._read)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: GatewaySettings, key: ApiKey) -> AsyncIterator[Gateway]:
        """Open the sessions for one run.

        Raises:
            UsageError: the address is unusable, or would send the key over plain http.
        """
        check_address(settings.base_url, settings.insecure)
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_note_connected)
        trace.on_request_chunk_sent.append(_note_sent)
        gateway = cls(settings, key, trace)
        try:
            yield gateway
        finally:
            for session in (gateway._submit, gateway._query, gateway._download):
                await session.close()

    @property
    def origin(self) -> str:
        """Scheme, host and port: the name that the ledger is bound to."""
        return origin(str(self._base))

    @property
    def key_origin(self) -> str:
        """Where the key was found, for messages."""
        return self._key.origin

    async def submit(self, body: bytes) -> SubmitOutcome:
        """POST one finished body, once: no retry, no redirect, no reused connection.

        A failure before the connection is established means not admitted; a later one means unknown.
        """
        phase = SimpleNamespace(connected=False, silence=None)
        try:
            async with (
                awake_timeout(10 * self._submit_timeout),
                awake_timeout(self._submit_timeout) as phase.silence,
                self._submit.post(
                    self._url(SUBMIT_PATH),
                    data=io.BytesIO(body),
                    allow_redirects=False,
                    **self._options({"Content-Type": "application/json"}),
                    trace_request_ctx=phase,
                ) as response,
            ):
                answer = await self._read(response, heard=phase.silence.renew)
        except NETWORK_ERRORS as error:
            receipt = no_answer(error, self._key)
            return Unknown(receipt) if phase.connected else NotAdmitted(Refusal.UNREACHABLE, receipt)
        return self._key.masked(wire.submit_outcome(answer))

    async def poll(self, remote_id: RemoteId) -> PollOutcome:
        """Poll a task."""
        try:
            answer = await self._ask(f"{SUBMIT_PATH}/{quote(remote_id, safe='')}")
        except NETWORK_ERRORS as error:
            return QueryFailed(no_answer(error, self._key))
        return self._key.masked(wire.poll_outcome(answer, remote_id))

    async def preflight(self) -> PreflightOutcome:
        """List the models: a free request that shows whether address and key are valid."""
        try:
            answer = await self._ask("/v1/models")
        except NETWORK_ERRORS as error:
            return PreflightOutcome(Preflight.UNREACHABLE, frozenset(), no_answer(error, self._key))
        receipt = self._key.masked(wire.receipt_of(answer))
        if answer.status == 401:
            return PreflightOutcome(Preflight.WRONG_KEY, frozenset(), receipt)
        if not wire.is_json(answer):
            verdict = Preflight.UNREACHABLE if answer.status >= 500 else Preflight.WRONG_ADDRESS
            return PreflightOutcome(verdict, frozenset(), receipt)
        return PreflightOutcome(Preflight.READY, wire.models_listed(answer) or frozenset(), receipt)

    async def usage_log(self) -> UsageOutcome:
        """The newest rows of this key's usage log; free, but limited to 20 look-ups in 20 minutes."""
        try:
            answer = await self._ask("/api/log/token", MAX_LOG)
        except NETWORK_ERRORS as error:
            return QueryFailed(no_answer(error, self._key))
        outcome = usage_outcome(answer)
        if not isinstance(outcome, UsageLog):
            return self._key.masked(outcome)
        return replace(outcome, ahead=answer.date - time.time()) if answer.date else outcome

    async def meter_reading(self) -> MeterReading | QueryFailed | None:
        """The key's used quota; free, but counts as one of the 20 look-ups. None if not available."""
        try:
            async with asyncio.timeout(METER_TIMEOUT):
                answer = await self._ask("/api/usage/token/")
        except NETWORK_ERRORS as error:
            return QueryFailed(no_answer(error, self._key))
        return meter_reading(answer, time.time())

    async def quota_per_usd(self) -> float | None:
        """How many of the gateway's quota units are one USD; None if it doesn't say."""
        try:
            async with asyncio.timeout(METER_TIMEOUT):
                return billing.quota_per_usd(await self._ask(billing.STATUS_PATH))
        except NETWORK_ERRORS:
            return None

    async def balance(self) -> float | None:
        """What the key may still spend, in USD; None if unlimited or not shown."""
        try:
            async with asyncio.timeout(METER_TIMEOUT):
                return billing.balance(*[await self._ask(path) for path in billing.BILLING_PATHS])
        except NETWORK_ERRORS:
            return None

    async def sight(self, remote_id: RemoteId) -> Sighting | NotVisible | QueryFailed | QueryRefused:
        """Fetch a task that may be ours, to compare it with what we sent."""
        try:
            answer = await self._ask(f"{SUBMIT_PATH}/{quote(remote_id, safe='')}")
        except NETWORK_ERRORS as error:
            return QueryFailed(no_answer(error, self._key))
        seen = sighting(answer, remote_id)
        if seen:
            return seen
        outcome = self._key.masked(wire.poll_outcome(answer, remote_id))
        if isinstance(outcome, NotVisible | QueryRefused):
            return outcome
        return QueryFailed(self._key.masked(wire.receipt_of(answer)))

    async def fetch_content(
        self, remote_id: RemoteId, write: Callable[[bytes], None], at_most: int = MAX_VIDEO
    ) -> FetchOutcome:
        """Stream a finished video of up to `at_most` bytes through the gateway, with the key, into `write`.

        `write` runs in a thread, once per megabyte; what is left at the end is in the outcome. It must not
        raise OSError, which counts as a network error here.
        """
        url = self._url(f"/v1/videos/{quote(remote_id, safe='')}/content")
        return await self._downloads.fetch(url, self._authorized(), write, at_most)

    async def fetch_url(
        self, url: str, write: Callable[[bytes], None], at_most: int = MAX_VIDEO
    ) -> FetchOutcome:
        """Stream a file from an upstream link into `write`, without the key."""
        return await self._downloads.fetch_link(url, write, at_most)

    async def _ask(self, path: str, at_most: int = MAX_JSON) -> wire.Answer:
        async with self._query.get(self._url(path), allow_redirects=False, **self._options({})) as response:
            return await self._read(response, at_most)

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        at_most: int = MAX_JSON,
        heard: Callable[[], None] = lambda: None,
    ) -> wire.Answer:
        """Read the whole answer, limited in size, with the key masked if it is echoed."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            heard()
            body += chunk
            if len(body) > at_most:
                raise ValueError(f"the answer is longer than {at_most >> 20} MB")
        # Mask before truncation, which could split the key; `ApiKey.masked` catches what JSON had escaped.
        return wire.Answer(
            status=response.status,
            body=self._key.mask_bytes(bytes(body)),
            request_id=storable(self._key.mask(response.headers.get("X-Oneapi-Request-Id", "")))[:100],
            retry_after=wire.retry_after_seconds(response.headers.get("Retry-After"), time.time()),
            date_header=response.headers.get("Date", ""),
        )

    def _url(self, path: str) -> URL:
        return self._base.joinpath(path.lstrip("/"), encoded=True)

    def _options(self, headers: Mapping[str, str]) -> dict[str, Any]:
        return {**self._way, "headers": {**self._way["headers"], **self._authorized(), **headers}}

    def _authorized(self) -> dict[str, str]:
        return {"Authorization": self._key.authorization()}


async def _note_connected(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    parameters: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    context.trace_request_ctx.connected = True
    context.trace_request_ctx.silence.renew()


async def _note_sent(
    session: aiohttp.ClientSession, context: SimpleNamespace, parameters: aiohttp.TraceRequestChunkSentParams
) -> None:
    context.trace_request_ctx.silence.renew()
