"""Checks that the pictures, videos and sounds that a manifest refers to by URL exist and are usable.

Each distinct URL is requested once, for its first bytes. No API key is sent and no cookies are kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from batchrunner.core.problems import Problem, Severity
from batchrunner.core.redaction import redacted_url
from batchrunner.core.rules.inputs import InputLimits
from batchrunner.core.text import quotable
from batchrunner.gateway.proxies import through_proxy
from batchrunner.manifest.loader import LoadedManifest, UrlUse
from batchrunner.media.clip_files import sound_type, video_type
from batchrunner.media.pictures import HEAD, picture_type
from batchrunner.version import __version__

AT_ONCE = 8
PATIENCE = 20.0
"""Timeout for one URL, in seconds."""
AT_MOST = 300.0
"""Timeout for all of them, in seconds."""
_GONE = (404, 410)
_REFUSED = (401, 403)
_SHOWN = 80
_HEADERS = {
    "User-Agent": f"batchrunner/{__version__}",
    "Accept-Encoding": "identity",
    # GET, not HEAD: links are signed for one method
    "Range": f"bytes=0-{HEAD - 1}",
}


_KINDS: dict[str, tuple[str, Callable[[bytes], object]]] = {
    "image": ("picture", picture_type),
    "video": ("mp4 or mov", video_type),
    "audio": ("wav or mp3", sound_type),
}


async def check_urls(
    loaded: LoadedManifest, patience: float = PATIENCE, at_most: float = AT_MOST
) -> tuple[Problem, ...]:
    """Request every input URL of a manifest that was loaded `with_urls`.

    A missing file is an error; anything that may differ from the model's network is a warning.
    `patience` is the timeout for one URL and `at_most` for all of them, in seconds.
    """
    waiting, limits = iter(loaded.urls), loaded.limits.inputs
    answers: dict[UrlUse, Problem | None] = {}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=AT_ONCE),
        timeout=aiohttp.ClientTimeout(total=patience),
        headers=_HEADERS,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def ask_on() -> None:
            for use in waiting:
                answers[use] = await _ask(session, use, limits)

        try:
            async with asyncio.timeout(at_most), asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(ask_on(), name="ask for URLs")
        except TimeoutError:
            pass
    found = [problem for use in loaded.urls if (problem := answers.get(use))]
    if missed := [use for use in loaded.urls if use not in answers]:
        message = f"{len(missed)} more URLs were not checked within {at_most:g} s"
        found.append(_warning(missed[0], message, "try again, or omit --check-urls"))
    return tuple(sorted(found, key=lambda problem: problem.severity is Severity.WARNING))


async def _ask(session: aiohttp.ClientSession, use: UrlUse, limits: InputLimits) -> Problem | None:
    try:
        url = URL(use.url, encoded=use.url.isascii())
        async with session.get(url, max_redirects=5, **through_proxy(url)) as response:
            head = b""
            while len(head) < HEAD and (more := await response.content.read(HEAD - len(head))):
                head += more
            return _judged(use, response, head, limits)
    except TimeoutError:
        return _warning(use, f"{_name(use)} timed out", "check the address, or whether the server is slow")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        message = f"{_name(use)} can't be fetched: {_why(error)}"
        return _warning(use, message, "correct the URL, or upload the file")


def _why(error: Exception) -> str:
    """What went wrong, in our own words: the library's differ between versions and may contain secrets."""
    match error:
        case aiohttp.ClientHttpProxyError(status=status):
            return f"the proxy answered HTTP {status}"
        case aiohttp.ClientProxyConnectionError():
            return "the proxy can't be reached"
        case aiohttp.ClientConnectorDNSError():
            return "unknown host"
        case aiohttp.ClientSSLError():
            return "TLS error: the certificate may be invalid or expired"
        case aiohttp.TooManyRedirects():
            return "too many redirects"
        case aiohttp.ClientConnectorError():
            return "the host can't be reached"
        case aiohttp.InvalidURL() | ValueError():
            return "this URL can't be requested"
        case aiohttp.ClientResponseError():
            return "the answer is not HTTP"
        case _:
            return "the connection was lost"


def _judged(
    use: UrlUse, response: aiohttp.ClientResponse, head: bytes, limits: InputLimits
) -> Problem | None:
    status, most = response.status, limits.most_bytes[use.kind]
    what, recognised = _KINDS[use.kind]
    if status in _GONE:
        message = f"{_name(use)} was not found: HTTP {status}"
        return Problem(Severity.ERROR, use.place, message, "correct the URL, or upload the file")
    if status in _REFUSED:
        hint = "the file must be public; a signed link may have expired"
        return _warning(use, f"{_name(use)} is not accessible: HTTP {status}", hint)
    if status not in (200, 206):
        return _warning(use, f"{_name(use)} returns HTTP {status}", "open it in a browser")
    if response.content_type == "text/html":
        return _warning(use, f"{_name(use)} is a web page", "use the address of the file itself")
    if not recognised(head):
        return _warning(use, f"{_name(use)} is not a supported {what} file", "open it in a browser")
    if (size := _size(response)) > most:
        message = f"{_name(use)} is {size / 1_000_000:.1f} MB; the limit is {most // 1_000_000} MB"
        return _warning(use, message, "make it smaller")
    return None


def _size(response: aiohttp.ClientResponse) -> int:
    """The file's size in bytes; 0 if the server doesn't say."""
    if response.status == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
        return int(total) if total.isdecimal() else 0
    return response.content_length or 0


def _name(use: UrlUse) -> str:
    """The URL without parts that may be secret."""
    parts = urlsplit(redacted_url(use.url))
    bare = parts.netloc.rpartition("@")[2] + parts.path
    return quotable(bare if len(bare) <= _SHOWN else f"{bare[:_SHOWN]}…")


def _warning(use: UrlUse, message: str, hint: str) -> Problem:
    return Problem(Severity.WARNING, use.place, message, hint)
