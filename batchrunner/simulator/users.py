"""The users of the gateway: each has its own tasks, capacity and balance. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batchrunner.simulator import checks
from batchrunner.simulator.capacity import Steps, parse_capacity


@dataclass(frozen=True)
class User:
    """One account of the gateway, which may have several keys."""

    capacity: int | Steps | None = None  # tasks that generate at once, others stay queued; None: no limit
    balance: int | None = None  # quota units; None: unlimited


def parse_users(value: object, where: str) -> Mapping[str, User]:
    """Read `users:`; raises Wrong."""
    given = checks.mapping(value, where)
    read = (User(**_fields(item, f"{where}.{name}")) for name, item in given.items())
    return dict(zip(given, read, strict=True))


def _fields(value: object, where: str) -> dict[str, Any]:
    return checks.fields(checks.mapping({} if value is None else value, where), _READERS, where)


def _parse_balance(value: object, where: str) -> int | None:
    return None if value is None else int(checks.whole(0)(value, where))


_READERS: Mapping[str, checks.Check] = {"capacity": parse_capacity, "balance": _parse_balance}
