"""Tries again while a storage doesn't answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from batchrunner.core.errors import StorageError
from batchrunner.storage.object_errors import Purpose, Unavailable

T = TypeVar("T")
WAITS = (0.0, 5.0, 15.0, 30.0, *(60.0,) * 28)
"""Nominal seconds before each try: half an hour, in which most outages end."""
AT_START = WAITS[:4]
"""The same before anything is paid for, when a person may be waiting."""


class StoragePatience:
    """How long to wait for one storage."""

    def __init__(self, url: str, purpose: Purpose, sleep: Callable[[float], Awaitable[None]]) -> None:
        """`sleep` waits nominal seconds; `purpose` is for the words of errors."""
        self._url, self._purpose, self._sleep = url, purpose, sleep
        self.trouble = ""
        """Why the storage can't be used at the moment; empty if it can."""

    async def __call__(self, attempt: Callable[[], Awaitable[T]], waits: Sequence[float] = WAITS) -> T:
        """Try again while the storage is unavailable.

        Raises:
            StorageError: it stays so, or a person must settle something.
        """
        for wait in waits:
            await self._sleep(wait)
            try:
                found = await attempt()
            except Unavailable as error:
                self.trouble = f"{self._purpose.cant} {self._url}: {error}"
            else:
                self.trouble = ""
                return found
        raise StorageError(self.trouble, f"check the storage, {self._purpose.then}")
