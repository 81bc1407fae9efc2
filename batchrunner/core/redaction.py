"""Removes secrets from foreign text: a library's error, a URL, a gateway's answer.

The only place that does. Everything shown, logged or stored as a message passes through `redacted`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

MASK = "***"
# Repetitions that may backtrack are bounded: hostile text must not take long.
_USER = re.compile(
    r"([a-z][a-z0-9+.-]{0,20}://)"
    r"(?:[^\s/?#'\"<>]{0,500}|[^\s/?#:'\"<>]{0,200}:(?!\d+[/?#])[^\s'\"<>]{0,500})@",  # a password with a /
    re.IGNORECASE,
)
# The same with a missing or mistyped scheme, as in a line of a manifest.
_PAIR = re.compile(r"(?<![\w.%+-])(?!mailto:)[\w.%+-]{1,64}:[^\s/:@'\"<>]{1,200}@(?=[\w\[])", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,20}(?::?//|:/)|//", re.IGNORECASE)
"""The start of an address, typos included: one slash too few, or no colon."""
# Up to whitespace or a double quote: a URL may contain anything else. Matches the whole URL, with or without
# a query, so that nothing is scanned twice.
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://[^\s\"]*", re.IGNORECASE)
_NAMED = re.compile(
    r"\b((?:x-(?:amz|tos|oss|goog|cos|bce)-[\w-]{1,40}|(?:q-)?signature|sign|sig|(?:access|security)?[_-]?token|"
    r"secret|password|passwd|api_?key|\w{1,10}accesskeyid|(?:j|php)?sess(?:ion)?_?id)=)[^\s&;'\"<>]+",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"\b(authorization['\"]?\s*[:=]\s*['\"]?\w{1,20}\s+|bearer\s+)[\w+/=.~-]{6,}", re.IGNORECASE
)
_BLANK = re.compile(r"\s")
_KEY = re.compile(r"\bsk-[A-Za-z0-9_-]{8,}")
_LEADS_TO_KEYS = frozenset({"EASYROUTER_API_KEY", "CREDENTIALS_DIRECTORY"})
"""Variables of the environment."""


def redacted(text: str) -> str:
    """`text` without credentials: users, passwords and queries of URLs, authorization headers, keys.

    Queries are removed whole, since every object store has its own name for the signature.
    """
    # Each answer to a poll comes here: what a pattern can't do without is looked for first, which is quicker.
    if "@" in text:
        text = _PAIR.sub(f"{MASK}@", _USER.sub(rf"\1{MASK}@", text))
    if "?" in text:
        text = _URL.sub(lambda found: _without_query(found.group()), text)
    if "=" in text:
        text = _NAMED.sub(rf"\1{MASK}", text)
    lower = text.lower()
    if "authorization" in lower or "bearer" in lower:
        text = _HEADER.sub(rf"\1{MASK}", text)
    return _KEY.sub(f"sk-{MASK}", text) if "sk-" in text else text


def redacted_beginning(text: str, most: int) -> str:
    """The first `most` characters of `redacted(text)`; of a long text, no more is read than may be needed."""
    beginning = text[: 4 * most]
    if len(beginning) < len(text):  # a secret can't be recognised once it is cut
        beginning = beginning.rpartition(" ")[0]
    return redacted(beginning)[:most]


def redacted_url(value: str) -> str:
    """The same for a text that is one URL, whatever characters it contains; otherwise as `redacted`."""
    try:
        parts = urlsplit(value)
    except ValueError:  # not a URL, but perhaps meant to be one
        return redacted(_without_query(value) if "://" in value else value)
    if not parts.scheme or not parts.netloc:
        return redacted(value)
    if "@" in value:
        value = _USER.sub(rf"\1{MASK}@", value)  # a password that contains / or ? is not in `netloc`
    user, at, _ = parts.netloc.rpartition("@")
    value = value.replace(f"//{user}@", f"//{MASK}@", 1) if at else value
    return redacted(_without_query(value))


def without_user(address: str) -> str:
    """An intended address without user and password, even if malformed: `bob:secret@host`."""
    before, at, host = address.rpartition("@")
    if not at:
        return address
    scheme = _SCHEME.match(before)
    return f"{scheme.group() if scheme else ''}{MASK}@{host}"


def without_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a child process that needs no API key: without any, and without what leads to one."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _LEADS_TO_KEYS and not _KEY.search(value)
    }


def _without_query(url: str) -> str:
    before, mark, _ = url.partition("?")
    return f"{before}?…" if mark else url


def redacted_values(value: object) -> object:
    """A JSON value with all strings redacted, except the user's own `prompt`."""
    if isinstance(value, str):
        return redacted(value) if _BLANK.search(value) else redacted_url(value)
    if isinstance(value, dict):
        return {name: item if name == "prompt" else redacted_values(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(item) for item in value]
    return value
