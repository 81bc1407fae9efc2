"""Asks a gateway one free request without the key: is it there, how fast, and what time is it there?"""

from __future__ import annotations

import time
from dataclasses import dataclass

import aiohttp

from batchrunner.gateway import wire
from batchrunner.gateway.address import base_of, on_the_way
from batchrunner.gateway.billing import STATUS_PATH
from batchrunner.gateway.download import NETWORK_ERRORS, no_answer
from batchrunner.gateway.key import ApiKey

TIMEOUT = 15.0
"""Real seconds."""


@dataclass(frozen=True, slots=True)
class Probe:
    """An answer to the request, or why there is none."""

    status: int = 0
    """The HTTP status; 0 without an answer."""
    seconds: float = 0.0
    """How long it took, with connecting."""
    ahead: float | None = None
    """How far its clock is ahead of ours, in seconds; exact to about a second. None if it doesn't say."""
    error: str = ""


async def probe(base_url: str) -> Probe:
    """Ask a checked address for its status page, whatever it answers."""
    nobody = ApiKey("\0", "nowhere")  # masks nothing
    url = base_of(base_url).joinpath(STATUS_PATH.lstrip("/"))
    began, sent = time.monotonic(), time.time()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session,
            session.get(url, allow_redirects=False, **on_the_way(url, {})) as response,
        ):
            seconds = time.monotonic() - began
            answer = wire.Answer(response.status, b"", date_header=response.headers.get("Date", ""))
    except NETWORK_ERRORS as error:
        return Probe(error=no_answer(error, nobody).message)
    ahead = answer.date + 0.5 - (sent + seconds / 2) if answer.date else None  # it is cut to whole seconds
    return Probe(answer.status, seconds, ahead)
