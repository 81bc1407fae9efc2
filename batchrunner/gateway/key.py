"""The API key as a value that does not show itself."""

from __future__ import annotations

MASK = "sk-***"


class ApiKey:
    """The key, and where it came from. Nothing that prints, logs or pickles this shows the key."""

    __slots__ = ("_key", "origin")

    def __init__(self, key: str, origin: str) -> None:
        self._key = key
        self.origin = origin
        """Where it was found, for messages: `EASYROUTER_API_KEY`, a file, a credential."""

    def authorization(self) -> str:
        """The header's value; for the gateway's own origin only."""
        return f"Bearer {self._key}"

    def mask(self, text: str) -> str:
        """`text` without the key, wherever something echoed it."""
        return text.replace(self._key, MASK) if self._key in text else text

    def __repr__(self) -> str:
        return f"ApiKey({MASK}, from {self.origin})"

    def __reduce__(self) -> str:
        raise TypeError("an API key is not to be copied")
