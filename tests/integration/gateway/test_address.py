"""One gateway, however its address is written."""

import pytest

from batchrunner.gateway import origin
from batchrunner.gateway.address import base_of


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://e.io", "https://e.io"),
        ("https://e.io/", "https://e.io"),
        ("https://e.io/v1", "https://e.io"),
        ("https://e.io/v1/", "https://e.io"),
        ("https://e.io/v1/video/generations", "https://e.io"),
        ("https://e.io/v1/videos//", "https://e.io"),
        ("https://e.io/relay/v1", "https://e.io/relay"),
        ("https://e.io/relay/", "https://e.io/relay"),
        ("https://e.io/a%2Fb/v1", "https://e.io/a%2Fb"),
        ("https://e.io/av1", "https://e.io/av1"),
        ("http://[::1]:8080/v1", "http://[::1]:8080"),
    ],
)
def test_paths_of_the_api_at_the_end_of_an_address_mean_the_gateway(url: str, base: str) -> None:
    """`/v1` and the path of a call are taken as meant; any other path stays."""
    asked = base_of(url).joinpath("v1/models", encoded=True)
    assert str(asked) == f"{base}/v1/models"


@pytest.mark.parametrize("url", ["https://E.IO", "https://e.io:443/", "https://e.io./v1", "https://e.io/x"])
def test_origin_has_one_spelling(url: str) -> None:
    """Case, the default port, a dot at the end and a path make no other gateway of it."""
    assert origin(url) == "https://e.io"
