"""A run directory, or its ledger alone, put aside at some moment and put back later."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

LEDGER = "ledger.sqlite"


class Backup:
    """A copy of a run directory as it was at one moment, also while running."""

    def __init__(self, directory: Path) -> None:
        self._kept = Path(tempfile.mkdtemp(dir=directory.parent))
        for path in directory.rglob("*"):
            kept = self._kept / path.relative_to(directory)
            if path.is_dir():
                kept.mkdir()
            elif not path.name.startswith(LEDGER) and path.name != "lock":
                shutil.copy2(path, kept)
        with (
            closing(sqlite3.connect(directory / LEDGER)) as ledger,
            closing(sqlite3.connect(self._kept / LEDGER)) as copy,
        ):
            ledger.backup(copy)

    def put_back(self, directory: Path, ledger_alone: bool) -> frozenset[str]:
        """Put the ledger back, or everything; return the names of the files that are gone by it."""
        for path in directory.glob(f"{LEDGER}*"):
            path.unlink()
        shutil.copy2(self._kept / LEDGER, directory / LEDGER)
        if ledger_alone:
            return frozenset()
        before = _files(directory)
        for name in before - {LEDGER, "lock"}:
            (directory / name).unlink()
        for name in _files(self._kept) - {LEDGER}:
            shutil.copy2(self._kept / name, directory / name)
        return before - _files(directory)

    def forget(self) -> None:
        """Remove it."""
        shutil.rmtree(self._kept)


def _files(directory: Path) -> frozenset[str]:
    return frozenset(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
