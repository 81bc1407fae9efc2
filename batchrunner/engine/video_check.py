"""Checks the files of finished videos: one stat each, and a hash only if something changed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from batchrunner.core.file_status import FileState
from batchrunner.core.policy import FETCH_AGAIN, AttemptFacts
from batchrunner.core.text import command, count, shortened
from batchrunner.ledger import FinishedFile, Ledger
from batchrunner.storage.files import seen_as

HASHING = 5.0
"""Maximum real seconds that one check spends on hashing; remaining files are left to the next."""
NOTED_AT_ONCE = 256
"""How many findings are written in one batch."""


@dataclass(frozen=True, slots=True)
class FileFinding:
    """A file that differs from its record in the ledger."""

    file: FinishedFile
    state: FileState
    seen: str
    """What identifies the checked file next time; empty if there was none."""

    @property
    def facts(self) -> AttemptFacts:
        """The facts to record in the ledger."""
        return AttemptFacts(file_state=self.state, file_seen=self.seen)


async def look_at_files(ledger: Ledger, directory: Path, fetch_missing: bool = False) -> str:
    """Record the state of finished videos' files in the ledger; no task changes its state.

    Except with `fetch_missing`: those that are gone are collected again. Returns a message about newly found
    changes; empty if there are none.
    """
    files = await ledger.finished_files()
    findings = await asyncio.to_thread(lambda: list(_findings(directory, files)))
    for start in range(0, len(findings), NOTED_AT_ONCE):
        some = findings[start : start + NOTED_AT_ONCE]
        await asyncio.gather(*(ledger.note(one.file.attempt, one.facts) for one in some))
    if fetch_missing:
        now = {one.file.attempt: one.state for one in findings}
        for file in files:
            if now.get(file.attempt, file.state) is FileState.MISSING:
                await ledger.move(file.key, FETCH_AGAIN)
        return ""
    gone = [one.file for one in findings if one.state is not one.file.state and one.state]
    return _news(gone, directory)


def _news(gone: Sequence[FinishedFile], directory: Path) -> str:
    if not gone:
        return ""
    names = ", ".join(shortened(file.file_name, 60) for file in gone[:3]) + (", …" if len(gone) > 3 else "")
    return (
        f"{count(len(gone), 'finished video')} moved, deleted or changed since: {names}; still done, and "
        f"results.csv says so. `{command('collect', directory, '--missing')}` downloads missing ones again, "
        "free of charge, while the gateway still has them"
    )


def _findings(directory: Path, files: Sequence[FinishedFile]) -> Iterator[FileFinding]:
    """Files that differ from the ledger. Runs in a thread."""
    until = time.monotonic() + HASHING
    for file in files:
        found = _look(directory / file.file_name, file, may_hash=time.monotonic() < until)
        if found and (found.state is not file.state or found.seen != file.seen):
            yield found


def _look(path: Path, file: FinishedFile, may_hash: bool) -> FileFinding | None:
    """Check one file; None if there is nothing to record."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        state = FileState.DANGLING if os.path.lexists(path) else FileState.MISSING
        # The right file may come back unchanged; what identified a changed one is dropped.
        return FileFinding(file, state, "" if file.state is FileState.CHANGED else file.seen)
    except OSError:
        return None  # a disk error says nothing about the file
    seen = seen_as(found)
    if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
        return FileFinding(file, FileState.CHANGED, seen)
    if seen == file.seen:
        state = FileState.CHANGED if file.state is FileState.CHANGED else FileState.IN_PLACE
        return FileFinding(file, state, seen)
    is_older = found.st_mtime <= (file.collected_at or 0.0)
    if not file.seen and file.state is FileState.IN_PLACE and is_older:
        return None  # collected by an earlier version, which recorded less
    if not may_hash:
        return None
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return None
    return FileFinding(file, FileState.IN_PLACE if digest == file.sha256 else FileState.CHANGED, seen)
