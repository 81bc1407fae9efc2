"""What is secret in a text that somebody else wrote: a library's error, a URL, a gateway's answer.

The one place that knows. Whatever is shown, logged or kept as a message passes through `redacted`.
"""

from __future__ import annotations

import re

MASK = "***"
# Repetitions are bounded where they may fail: a hostile text must not take long.
_USER = re.compile(
    r"([a-z][a-z0-9+.-]{0,20}://)"
    r"(?:[^\s/?#'\"<>]{0,500}|[^\s/?#:'\"<>]{0,200}:(?!\d+[/?#])[^\s'\"<>]{0,500})@",  # a password with a /
    re.IGNORECASE,
)
_QUERY = re.compile(r"([a-z][a-z0-9+.-]{0,20}://[^\s?#'\"<>]{0,1000})\?[^\s'\"<>]*", re.IGNORECASE)
_NAMED = re.compile(
    r"\b((?:x-(?:amz|tos|oss|goog|cos|bce)-[\w-]{1,40}|(?:q-)?signature|sign|sig|(?:access|security)?[_-]?token|"
    r"secret|password|passwd|api_?key|\w{1,10}accesskeyid)=)[^\s&;'\"<>]+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\b(authorization['\"]?\s*[:=]\s*['\"]?\w{1,20}\s+|bearer\s+)[\w+/=.~-]{6,}", re.IGNORECASE
)
_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}")


def redacted(text: str) -> str:
    """`text` without credentials: user and password of URLs, their queries, authorization headers, keys.

    Queries go as a whole, for a signature has a different name with every store.
    """
    if "@" in text:
        text = _USER.sub(rf"\1{MASK}@", text)
    if "?" in text:
        text = _QUERY.sub(r"\1?…", text)
    text = _NAMED.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(rf"\1{MASK}", text)
    return _KEY.sub(f"sk-{MASK}", text)


def redacted_values(value: object) -> object:
    """A value of JSON, redacted in every text but the user's own `prompt`."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: item if name == "prompt" else redacted_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(item) for item in value]
    return value
