"""Address rules: where the key may be sent, through which proxy, and which hosts a link may point to."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from batchrunner.core.errors import UsageError
from batchrunner.core.redaction import without_user
from batchrunner.gateway.key import MASK
from batchrunner.gateway.proxies import SCHEMES, proxy_address, through_proxy

_IPV4_INSIDE = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))
"""NAT64 and the old IPv4-compatible form: the last 4 bytes are the IPv4 address."""

_API_PATH = re.compile(r"(/v1(/videos|/video(/generations)?|/models)?)?/*$")
"""Paths that may follow the address, because the API's own paths start with them."""

_CONTENT_PATH = re.compile(r"/v1/videos?/[^/]+/content/?$")
"""Where a gateway passes videos on to those who have its key, whatever its name is."""


class PrivateAddress(OSError):
    """A link points into a private network; no connection was made."""

    def __init__(self, host: str) -> None:
        super().__init__(f"the link points to {host}, which is in a private network")


def check_address(base_url: str, insecure: bool) -> None:
    """Check that the key may be sent to this address.

    Raises:
        UsageError: it isn't an http(s) address, is plain http to a remote host, or the proxy is unusable.
    """
    hint = "an address looks like https://easyrouter.io; see --base-url"
    try:
        url = URL(base_url)
    except ValueError as error:
        why = "" if "@" in base_url else f": {error}"  # the error may quote part of it, such as a password
        raise UsageError(f"{without_user(base_url)!r} is not an address{why}", hint) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"{without_user(base_url)!r} is not an http(s) address", hint)
    if url.user or url.password or url.query_string or url.fragment:
        raise UsageError("the gateway's address can't contain a user, a query or a fragment", hint)
    if url.scheme == "http" and not is_loopback(base_url) and not insecure:
        raise UsageError(
            f"{base_url} would send the key unencrypted",
            "use https, or --insecure if you trust the network",
        )
    for scheme in SCHEMES:
        proxy_address(scheme)


def base_of(base_url: str) -> URL:
    """The base address, to which API paths are appended.

    `…/v1`, as OpenAI clients expect it, and the full path of a call are accepted and shortened.
    """
    url = URL(base_url)
    return url.with_path(_API_PATH.sub("", url.raw_path), encoded=True)


def origin(base_url: str) -> str:
    """Scheme, host and port of a checked address, normalised."""
    url = URL(base_url).origin()
    return str(url.with_host(url.host.rstrip(".")) if url.host and url.host.endswith(".") else url)


def why_unreadable(link: str, gateway: str) -> str:
    """Why the model can't read a link to a video; empty if it can, as far as its text tells.

    `gateway` is the gateway's address. If it is private itself, the model may be in the same network.
    """
    try:
        url, base = URL(link), URL(gateway)
        host, is_ours = url.host or "", url.origin() == base.origin()
    except ValueError:
        host, is_ours = "", False
    if not host or not link.isprintable() or " " in link or MASK in link:
        return "its link is not a complete address"
    if url.user is not None or url.password is not None:
        return "its link contains a user name or a password"
    if (is_ours and url.path.startswith("/v1/")) or _CONTENT_PATH.search(url.path):
        return "only your key opens its link, which leads to the gateway"
    if is_private(host) and not is_private(base.host or ""):
        return "its link leads into a private network"
    return ""


def is_loopback(base_url: str) -> bool:
    """Whether an address is certainly this machine."""
    return _is_loopback_host(URL(base_url).host or "")


@lru_cache(maxsize=64)
def _is_loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def on_the_way(url: URL, headers: Mapping[str, str]) -> dict[str, Any]:
    """A request's headers and proxy as arguments for aiohttp; no proxy for this machine."""
    return {"headers": dict(headers)} if _is_loopback_host(url.host or "") else through_proxy(url, headers)


class LinkResolver(AbstractResolver):
    """Resolves names for downloads; allows private addresses only if the gateway has one.

    aiohttp connects to the addresses returned here, so a name can't resolve differently after the check.
    """

    def __init__(self, gateway_host: str) -> None:
        self._gateway_host = gateway_host
        self._names = ThreadedResolver()
        # With a proxy, the name resolved here is the proxy's.
        self._trusted = {
            gateway_host,
            *(proxy.host for scheme in SCHEMES if (proxy := proxy_address(scheme))),
        }

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._names.resolve(host, port, family)
        if host not in self._trusted and _any_private(found) and not await self._gateway_is_private():
            raise PrivateAddress(host)
        return found

    async def check_host(self, host: str) -> None:
        """Check that a link may point to this host, judging by its name; literal addresses are not resolved.

        Raises:
            PrivateAddress: it may not.
        """
        if is_private(host) and not await self._gateway_is_private():
            raise PrivateAddress(host)

    async def _gateway_is_private(self) -> bool:
        if is_private(self._gateway_host):
            return True
        try:
            return _any_private(await self._names.resolve(self._gateway_host))
        except OSError:
            return False

    async def close(self) -> None:
        await self._names.close()


def is_private(host: str) -> bool:
    """Whether a literal address is not on the public internet; names are not resolved."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
        return not address.is_global or _leads_inside(address)
    except ValueError:
        if not host.replace(".", "").isdigit():
            return False
    # `2130706433`, `127.1`: aiohttp treats digits and dots as an address and doesn't resolve them.
    try:
        return not ipaddress.IPv4Address(socket.inet_aton(host)).is_global
    except OSError:
        return True


def _leads_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an IPv6 address embeds an IPv4 address that is not on the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return False
    inner = address.ipv4_mapped or address.sixtofour
    if any(address in network for network in _IPV4_INSIDE):
        inner = ipaddress.IPv4Address(address.packed[-4:])
    return inner is not None and not inner.is_global


def _any_private(found: list[ResolveResult]) -> bool:
    return any(is_private(one["host"]) for one in found)
