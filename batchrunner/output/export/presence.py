"""Finds out whether the files of a set are still those that were exported, reading as few as possible.

A file with the size and time that it had when it was added is taken for that file. Another time alone means
little, as in a copy of the folder: then the file is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.core.errors import UsageError
from batchrunner.storage.files import seen_as

if TYPE_CHECKING:
    from batchrunner.output.export.folder import SetFile

NEW = "export into a new folder"


class PresenceCheck:
    """Checks the files of a set, in the order in which they were added."""

    def __init__(self, folder: Path, hash_of: Callable[[Path], str]) -> None:
        self._folder, self._hash_of = folder, hash_of
        self._doubtful: dict[str, tuple[SetFile, str]] = {}
        """Files that look other than when they were added, each with how it looks now."""

    def look(self, files: Iterable[SetFile], seen: Mapping[str, str]) -> None:
        """Look at files that have been added; `seen` is how they looked.

        Raises:
            UsageError: one is missing, or of another size.
        """
        for file in files:
            try:
                found = os.stat(self._folder / file.name)  # noqa: PTH116  faster, and there may be a million
            except (FileNotFoundError, NotADirectoryError) as error:
                raise UsageError(
                    f"{self._folder} lacks {file.name}, which is part of the set", f"put it back, or {NEW}"
                ) from error
            if found.st_size != file.bytes:
                raise self._changed(file)
            if seen.get(file.name) != (now := seen_as(found)):
                self._doubtful[file.name] = file, now

    def settle(self, seen_later: Mapping[str, str]) -> dict[str, str]:
        """Read the files that may have changed; return how they look, if they have not.

        `seen_later` is how files looked after they had been read before.

        Raises:
            UsageError: one has changed.
        """
        left = {name: one for name, one in self._doubtful.items() if seen_later.get(name) != one[1]}
        for name, (file, _) in left.items():
            if self._hash_of(self._folder / name) != file.sha256:
                raise self._changed(file)
        return {name: now for name, (_, now) in left.items()}

    def _changed(self, file: SetFile) -> UsageError:
        return UsageError(
            f"{self._folder / file.name} is not what was exported: it was changed or replaced",
            f"put it back, or {NEW}",
        )
