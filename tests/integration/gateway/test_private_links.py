"""Where a link may lead: never into a private network, unless the gateway itself is in one."""

import asyncio
import socket
from typing import Any

import pytest
from aiohttp.abc import ResolveResult

from batchrunner.core.outcome import FetchFailed
from batchrunner.gateway import ApiKey, Gateway, GatewaySettings
from batchrunner.gateway.address import LinkResolver, PrivateAddress, is_private

PUBLIC = "93.184.215.14"
PRIVATE = [
    "10.0.0.1",
    "127.0.0.1",
    "127.255.0.9",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:7",
    "2002:7f00:1::1",
    "::127.0.0.1",
]


class Names:
    """A resolver that knows what a test tells it; anything else does not exist."""

    def __init__(self, **known: list[str]) -> None:
        self.known = {name.replace("_", "."): addresses for name, addresses in known.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.known:
            raise OSError(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self.known[host]
        ]

    async def close(self) -> None: ...


def resolver(gateway: str, **known: list[str]) -> LinkResolver:
    """What resolves the links of this gateway, with names of a test's own."""
    made = LinkResolver.__new__(LinkResolver)
    made.__init__(gateway)  # type: ignore[misc]
    made._names = Names(**known)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_in_a_private_network_is_known_as_one(address: str) -> None:
    """IPv4 and IPv6, link-local with a zone, IPv4 in IPv6, the metadata service of a cloud."""
    assert is_private(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "gateway.example"]
)
def test_a_public_address_and_a_name_are_not(address: str) -> None:
    """A name is judged by what it resolves to."""
    assert not is_private(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_public_gateways_link_may_not_name_a_private_address(address: str) -> None:
    """Written into the link as an address, it is refused before any connection."""

    async def story() -> None:
        links = resolver("gateway.example", gateway_example=[PUBLIC])
        with pytest.raises(PrivateAddress, match="private network"):
            await links.check_host(address)

    asyncio.run(story())


@pytest.mark.parametrize("address", PRIVATE)
def test_a_public_gateways_link_may_not_resolve_to_a_private_address(address: str) -> None:
    """A name that means such an address, alone or among others, is refused where the connection is made."""

    async def story() -> None:
        links = resolver("gateway.example", gateway_example=[PUBLIC], evil_example=[PUBLIC, address])
        with pytest.raises(PrivateAddress):
            await links.resolve("evil.example")

    asyncio.run(story())


def test_a_public_gateways_link_to_a_public_host_is_resolved() -> None:
    """What the check saw is what the connection gets: the same addresses, resolved once."""

    async def story() -> None:
        links = resolver("gateway.example", gateway_example=[PUBLIC], files_example=[PUBLIC])
        found = await links.resolve("files.example", 443)
        assert [one["host"] for one in found] == [PUBLIC]
        assert links._names.asked == ["files.example"]  # type: ignore[attr-defined]

    asyncio.run(story())


@pytest.mark.parametrize("gateway", ["10.0.0.7", "localhost", "inner.example"])
def test_a_private_gateways_links_may_lead_into_its_network(gateway: str) -> None:
    """Whoever runs a gateway of his own has its files beside it."""

    async def story() -> None:
        links = resolver(gateway, inner_example=["10.0.0.7"], files_example=["10.0.0.8"])
        await links.check_host("10.0.0.8")
        assert len(await links.resolve("files.example")) == 1

    asyncio.run(story())


def test_a_gateway_that_can_not_be_resolved_counts_as_public() -> None:
    """Where nothing tells, the careful answer is taken."""

    async def story() -> None:
        links = resolver("gateway.example", files_example=["10.0.0.8"])
        with pytest.raises(PrivateAddress):
            await links.resolve("files.example")

    asyncio.run(story())


def test_a_proxy_in_a_private_network_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the user's own: only where links lead is looked at, not through what they are fetched."""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")

    async def story() -> None:
        links = resolver("gateway.example", gateway_example=[PUBLIC], proxy_example=["10.0.0.9"])
        assert len(await links.resolve("proxy.example")) == 1
        with pytest.raises(PrivateAddress):
            await links.check_host("10.0.0.9")

    asyncio.run(story())


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/a.mp4",
        "http://[::ffff:127.0.0.1]/a.mp4",
        "http://2130706433/a.mp4",
        "http://127.1/a.mp4",
        "http://localhost/a.mp4",
        "http://0/a.mp4",
        "http://0177.0.0.1/a.mp4",
        "http://0x7f.1/a.mp4",
        "http://99999999999/a.mp4",
    ],
)
def test_whatever_way_a_private_address_is_written_nothing_is_fetched(link: str) -> None:
    """The download of such a link ends at once, for good, and nothing is connected to."""

    async def story() -> None:
        settings = GatewaySettings(f"https://{PUBLIC}")
        async with Gateway.open(settings, ApiKey("sk-canary", "a test")) as gateway:
            outcome = await gateway.fetch_url(link, lambda data: None)
        assert isinstance(outcome, FetchFailed)
        assert (outcome.receipt.code, outcome.permanent) == ("private_address", True)

    asyncio.run(story())
