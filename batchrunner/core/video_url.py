"""URLs of places for finished videos other than the run directory, such as `s3://bucket/prefix`."""

from __future__ import annotations

import re

_IN_BUCKET = r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9_~()!'*+,=:-][A-Za-z0-9._~()!'*+,=:-]*)*/?"
"""Only what every provider keeps as it is, without any encoding."""
_FILE = "file://"
PATTERN = rf"^({_IN_BUCKET}|{_FILE}/[^?#%\x00-\x1f]*[^?#%/\x00-\x1f]/?)$"
"""The manifest's schema has the same."""
PLACE = (
    "a URL such as s3://bucket/prefix (s3, gs or az), without credentials or parameters: "
    "the provider's environment variables supply them; or a folder, such as file:///mnt/videos"
)
EXPECTED = f"must be {PLACE}"
_PLACE = re.compile(PATTERN)


def is_place(url: str) -> bool:
    """Whether this is the URL of a place for videos."""
    return bool(_PLACE.fullmatch(url))


def is_in_bucket(url: str) -> bool:
    """Whether a place, which may be empty for the run directory, is in a bucket."""
    return bool(url) and not url.startswith(_FILE)


def folder_of(url: str) -> str:
    """The absolute path of a place that is a folder; empty for other places."""
    return url.removeprefix(_FILE) if url.startswith(_FILE) else ""


def normal(url: str) -> str:
    """The URL without a slash at its end."""
    return url.rstrip("/")
