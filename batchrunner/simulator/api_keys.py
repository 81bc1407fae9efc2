"""The API keys that the gateway knows, and their permissions. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrunner.simulator import checks


@dataclass(frozen=True)
class Key:
    """One API key of a user of the gateway, without the key itself."""

    name: str  # shown in the charge book and the usage log
    token_id: int
    quota: int | None = None  # its own quota units; None is unlimited
    models: tuple[str, ...] | None = None  # the models it may use; None is all
    valid: bool = True
    revoked: tuple[float, float] | None = None  # unknown in [from, to], nominal seconds since the start
    user: str = ""  # whose it is; empty: the one whose capacity and balance are those of the scenario


RECORDED: Mapping[str, Key] = {
    "sk-main": Key("main", 1),
    "sk-poor": Key("poor", 2, quota=1000),
    "sk-limited": Key("limited", 3, models=("dreamina-seedance-2-0-fast",)),
    "sk-unknown": Key("unknown", 0, valid=False),
}


def find_key(keys: Mapping[str, Key], header: str | None, at: float) -> Key | None:
    """The key in an Authorization header; None if it is unknown to the gateway.

    `at` is in nominal seconds since the simulator's first start.

    Any other key starting with sk- is an unlimited key of the first user, so that a test can send a canary;
    sk-bad… keys are unknown. They are named by a hash, because keys must not appear anywhere.
    """
    secret = (header or "").removeprefix("Bearer ").removeprefix("bearer ").strip()
    listed = keys.get(secret)
    if listed is not None:
        revoked = listed.revoked is not None and listed.revoked[0] <= at < listed.revoked[1]
        return listed if listed.valid and not revoked else None
    if not secret.startswith("sk-") or secret.startswith(("sk-bad", "sk-unknown")):
        return None
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return Key(f"key-{digest[:8]}", 1000 + int(digest[:6], 16))


def parse_keys(value: object, where: str) -> Mapping[str, Key]:
    """Read `keys:`, which adds to the recorded keys or replaces them; raises Wrong."""
    given = checks.mapping(value, where)
    # Use a number as the place: a key must not appear in a message.
    read = checks.each(list(given.values()), _fields, where, "keys")
    keys = {
        secret: Key(**{"name": f"key{number}", "token_id": number} | fields)
        for number, (secret, fields) in enumerate(zip(given, read, strict=True), start=_FIRST)
    }
    names = {key.name for key in keys.values()}
    return {secret: key for secret, key in RECORDED.items() if key.name not in names} | keys


def _fields(value: object, where: str) -> dict[str, Any]:
    return checks.fields(checks.mapping({} if value is None else value, where), _READERS, where)


_FIRST = 100
"""Token id of the first key of a scenario."""
_READERS: Mapping[str, checks.Check] = {
    "name": checks.text,
    "quota": checks.whole(0),
    "models": checks.names,
    "valid": checks.flag,
    "revoked": checks.span,
    "user": checks.text,
}
