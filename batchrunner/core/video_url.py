"""URLs of places for finished videos other than the run directory, such as `s3://bucket/prefix`."""

from __future__ import annotations

import re

PATTERN = r"^(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9_~()!'*+,=:-][A-Za-z0-9._~()!'*+,=:-]*)*/?$"
"""Only what every provider keeps as it is, without any encoding; the manifest's schema has the same."""
PLACE = (
    "a URL such as s3://bucket/prefix (s3, gs or az), without credentials or parameters: "
    "the provider's environment variables supply them"
)
EXPECTED = f"must be {PLACE}"
_PLACE = re.compile(PATTERN)


def is_place(url: str) -> bool:
    """Whether this is the URL of a place for videos."""
    return bool(_PLACE.fullmatch(url))


def normal(url: str) -> str:
    """The URL without a slash at its end."""
    return url.rstrip("/")
