"""Reads untrusted JSON: each function takes any value and returns one of its type, or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MOST_TOKENS = 10**10


def storable(text: str) -> str:
    """`text` without lone surrogates, which JSON and headers may contain."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def as_object(body: bytes | str) -> Mapping[str, Any]:
    """The object in a JSON text; empty if it is not an object."""
    try:
        return as_dict(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def as_dict(value: object) -> Mapping[str, Any]:
    """An object; empty for anything else."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """A text without lone surrogates; empty for anything else."""
    return storable(value) if isinstance(value, str) else ""


def as_url(value: object) -> str:
    """An http(s) URL; empty for anything else: gateways put error texts there."""
    text = as_text(value)
    return text if text.startswith(("https://", "http://")) else ""


def as_int(value: object) -> int | None:
    """An integer that SQLite can store; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def _as_tokens(value: object) -> int | None:
    """A plausible number of tokens, which may be written as text; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        value = int(value)
    count = as_int(value)
    return count if count is not None and 0 <= count <= MOST_TOKENS else None


def tokens_of(usage: Mapping[str, Any]) -> int | None:
    """The tokens charged, by a `usage` object: the largest figure; 0 is none, not a refund."""
    told = [_as_tokens(usage.get(name)) for name in ("total_tokens", "completion_tokens")]
    return max(filter(None, told), default=None)


def as_number(value: object) -> float | None:
    """A positive number, such as a Unix time; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e11 else None
