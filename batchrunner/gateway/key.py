"""The API key, as a value that never prints itself."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)

MASK = "sk-***"


class ApiKey:
    """The key and where it came from. Printing, logging or pickling it never reveals the key."""

    __slots__ = ("_key", "origin")

    def __init__(self, key: str, origin: str) -> None:
        self._key = key
        self.origin = origin
        """Where it was found, for messages: `EASYROUTER_API_KEY`, a file, a credential."""

    def authorization(self) -> str:
        """The value of the Authorization header; for the gateway's own origin only."""
        return f"Bearer {self._key}"

    def is_same(self, other: ApiKey) -> bool:
        """Whether it is the same key, wherever it came from."""
        return self._key == other._key

    def mask(self, text: str) -> str:
        """`text` with the key masked."""
        return text.replace(self._key, MASK) if self._key in text else text

    def mask_bytes(self, body: bytes) -> bytes:
        """The same for what was received."""
        return body.replace(self._key.encode(), MASK.encode())

    def masked(self, outcome: T) -> T:
        """A copy of `outcome` with the key masked in all its texts, even where an answer had escaped it."""
        changes: dict[str, object] = {}
        for name in _names(type(outcome)):
            value = getattr(outcome, name)
            if isinstance(value, str):
                clean: object = self.mask(value)
            else:
                clean = self.masked(value) if is_dataclass(value) and not isinstance(value, type) else value
            if clean != value:
                changes[name] = clean
        return replace(outcome, **changes) if changes else outcome

    def __repr__(self) -> str:
        return f"ApiKey({MASK}, from {self.origin})"

    def __reduce__(self) -> str:
        raise TypeError("an API key can't be pickled")


@cache
def _names(kind: type[DataclassInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))
