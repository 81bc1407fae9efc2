"""A link leads to the public internet, unless the gateway itself is in a private network."""

import asyncio
import socket

import pytest

from batchrunner.core.outcome import FetchFailed
from batchrunner.gateway.address import LinkResolver, PrivateAddress, is_private

PUBLIC, PRIVATE = "93.184.216.34", "10.1.2.3"
NAMES = {
    "gateway.example": PUBLIC,
    "inside.example": PRIVATE,
    "files.example": PUBLIC,
    "trap.example": PRIVATE,
}


@pytest.fixture
def resolver(monkeypatch):
    """Asks a resolver of a gateway for something, names standing for addresses as above."""

    async def looked_up(self, host, port=0, family=socket.AF_INET):
        address = NAMES.get(host, host)
        return [{"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}]

    monkeypatch.setattr("aiohttp.resolver.ThreadedResolver.resolve", looked_up)

    def ask(gateway_host, question):
        async def go():
            resolver = LinkResolver(gateway_host)
            try:
                return await question(resolver)
            finally:
                await resolver.close()

        return asyncio.run(go())

    return ask


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("10.0.0.1", True),
        ("169.254.169.254", True),
        ("192.168.1.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        (PUBLIC, False),
        ("files.example", False),
    ],
)
def test_an_address_tells_by_itself_where_it_leads(host, private):
    """Whatever is not global is private; a name has to be looked up."""
    assert is_private(host) is private


def test_a_link_to_a_private_address_is_refused(resolver):
    """An address in the link is never resolved, so it is checked as it stands."""
    with pytest.raises(PrivateAddress):
        resolver("gateway.example", lambda one: one.check_host(PRIVATE))
    assert resolver("gateway.example", lambda one: one.check_host(PUBLIC)) is None
    assert resolver("inside.example", lambda one: one.check_host(PRIVATE)) is None


def test_a_name_that_leads_into_a_private_network_is_refused(resolver):
    """What the name stands for is checked, and is what the client connects to."""
    with pytest.raises(PrivateAddress, match=r"trap\.example"):
        resolver("gateway.example", lambda one: one.resolve("trap.example"))
    for gateway_host, host in (
        ("gateway.example", "files.example"),
        ("inside.example", "trap.example"),
        ("inside.example", "inside.example"),
    ):
        assert resolver(gateway_host, lambda one, host=host: one.resolve(host))[0]["host"] == NAMES[host]


def test_no_connection_is_made_to_a_private_address(client, meet):
    """With a gateway on the public internet, a link to this machine fails for good without a request."""

    async def story(gateway, server):
        async with client("https://93.184.216.34") as public:
            outcome = await public.fetch_url(f"{server.url}/a.mp4", lambda data: None)
        return outcome, server.requests

    async def never(request):
        raise AssertionError("a request came")

    outcome, requests = meet(story, never)
    assert isinstance(outcome, FetchFailed)
    assert (outcome.receipt.code, outcome.permanent, requests) == ("private_address", True, [])
