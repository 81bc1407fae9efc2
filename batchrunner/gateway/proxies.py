"""The proxy set in the environment: its address, and credentials that are sent only to it."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from batchrunner.core.errors import UsageError

SCHEMES = ("http", "https")
_HEADER = "Proxy-Authorization"


def proxy_address(scheme: str) -> URL | None:
    """The proxy for URLs of this scheme, with its credentials; None if there is none.

    Raises:
        UsageError: the environment has an unusable one. The message doesn't show its password.
    """
    given = getproxies().get(scheme)
    if not given:
        return None
    address = given if "://" in given else f"http://{given}"
    try:
        url = URL(address)
    except ValueError:
        url = URL()
    if url.scheme not in SCHEMES or not url.host:
        raise UsageError(
            f"invalid proxy in {_variable(scheme)}",
            "use the form http://host:3128; user and password stand before the host, a @ in them as %40",
        )
    return url


def shown_proxy(scheme: str) -> str:
    """The proxy's host and port, for messages; empty if there is none."""
    url = proxy_address(scheme)
    return f"{url.host}:{url.port}" if url else ""


def through_proxy(url: URL, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A request's headers and proxy as arguments for aiohttp.

    aiohttp's own look-up would also read .netrc, and its errors repeat passwords found in addresses.

    Raises:
        UsageError: as `proxy_address`.
    """
    own = dict(headers or {})
    proxy = None if not url.host or proxy_bypass(url.host) else proxy_address(url.scheme)
    if proxy is None:
        return {"headers": own}
    secret = _authorization(proxy)
    if url.scheme == "http":  # sent to the proxy itself; for https, CONNECT carries the credentials
        return {"headers": own | secret, "proxy": proxy.with_user(None)}
    return {"headers": own, "proxy": proxy.with_user(None), "proxy_headers": secret or None}


def _authorization(proxy: URL) -> dict[str, str]:
    if proxy.user is None and proxy.password is None:
        return {}
    pair = f"{proxy.user or ''}:{proxy.password or ''}"
    return {_HEADER: f"Basic {b64encode(pair.encode()).decode()}"}


def _variable(scheme: str) -> str:
    """The environment variable that names the proxy; lower case takes precedence."""
    small = f"{scheme}_proxy"
    return small if os.environ.get(small) else small.upper()
