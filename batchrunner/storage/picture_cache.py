"""Remembers what is known about pictures in buckets, so that a start doesn't read those that it has seen.

It is a cache: whatever is wrong with its file, pictures are read again. What is sent is compared with its
hash in any case.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from batchrunner.media.picture_files import PictureFile
from batchrunner.media.pictures import PictureFacts

NAME = "pictures-1.sqlite"
"""With the version of its table, which is never changed."""
_KEPT = 90 * 86400.0
"""Seconds for which a picture that no manifest names is remembered."""
_TABLE = """
CREATE TABLE IF NOT EXISTS pictures (
    url TEXT PRIMARY KEY, seen TEXT NOT NULL, used_at REAL NOT NULL, sha256 TEXT NOT NULL, mime TEXT NOT NULL,
    size INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, upright INTEGER NOT NULL
) WITHOUT ROWID
"""
_FIND = "SELECT sha256, mime, size, width, height, upright FROM pictures WHERE url = ? AND seen = ?"
_KEEP = "INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def cache_folder() -> Path | None:
    """The user's folder for this program's caches; None if the user has none."""
    if given := os.environ.get("XDG_CACHE_HOME"):
        return Path(given) / "batchrunner" if Path(given).is_absolute() else None
    with suppress(RuntimeError):
        return Path.home() / ".cache" / "batchrunner"
    return None


class PictureCache:
    """Pictures by URL and by what identified their content at the last look. Used by one thread at a time."""

    def __init__(self, folder: Path | None) -> None:
        """Without a folder, nothing is remembered."""
        self._db = _opened(folder) if folder else None

    def knows(self, url: str) -> bool:
        """Whether there was such a picture."""
        return bool(self._rows("SELECT 1 FROM pictures WHERE url = ?", url))

    def find(self, url: str, seen: str) -> PictureFile | None:
        """The picture if its content is the same as then; None if it must be read."""
        for sha256, mime, size, width, height, upright in self._rows(_FIND, url, seen):
            self._rows("UPDATE pictures SET used_at = ? WHERE url = ?", time.time(), url)
            return PictureFile(sha256, mime, size, PictureFacts(width, height, bool(upright)))
        return None

    def keep(self, url: str, seen: str, file: PictureFile) -> None:
        """Remember a picture, unless the storage doesn't say what identifies its content."""
        if " " in seen and not file.wrong:
            self._rows(_KEEP, url, seen, time.time(), file.sha256, file.mime, file.size, *file.facts)

    def _rows(self, query: str, *values: object) -> list[Any]:
        if self._db is not None:
            with suppress(sqlite3.Error):
                return self._db.execute(query, values).fetchall()
        return []


def _opened(folder: Path) -> sqlite3.Connection | None:
    """The database, made if there is none; None if it can't be used."""
    with suppress(sqlite3.Error, OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(folder / NAME, timeout=1, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")  # quick, and whole after a crash
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_TABLE)
        db.execute("DELETE FROM pictures WHERE used_at < ?", (time.time() - _KEPT,))
        return db
    return None
