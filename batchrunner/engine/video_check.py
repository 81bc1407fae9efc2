"""Checks the files of finished videos: one stat each, and a hash only if something changed.

Those in a bucket are looked up in one listing of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from batchrunner.core.errors import StorageError
from batchrunner.core.file_status import FileState
from batchrunner.core.policy import FETCH_AGAIN, AttemptFacts
from batchrunner.core.text import command, count, shortened
from batchrunner.engine.video_place import Bucketful
from batchrunner.ledger import FinishedFile, Ledger
from batchrunner.storage.files import seen_as

HASHING = 5.0
"""Maximum real seconds that one check spends on hashing; remaining files are left to the next."""
NOTED_AT_ONCE = 256
"""How many findings are written in one batch."""


class FileFinding(NamedTuple):
    """What became of a file."""

    file: FinishedFile
    state: FileState
    seen: str
    """What identifies the checked file next time; empty if there was none."""

    @property
    def is_new(self) -> bool:
        """Whether the ledger does not know it yet."""
        return self.state != self.file.state or self.seen != self.file.seen

    @property
    def facts(self) -> AttemptFacts:
        """The facts to record in the ledger."""
        return AttemptFacts(file_state=self.state, file_seen=self.seen)


async def look_at_files(
    ledger: Ledger, directory: Path, fetch_missing: bool = False, bucket: Bucketful | None = None
) -> str:
    """Record the state of finished videos' files in the ledger; no task changes its state.

    They are in the run directory unless a `bucket` is given.

    Except with `fetch_missing`: those that are gone are collected again. Returns a message about newly found
    changes; empty if there are none.
    """
    look = partial(_look_at_object, bucket) if bucket else partial(_look_at_file, directory)
    findings = await ledger.read_finished_files(partial(_findings, look))
    new = [one for one in findings if one.is_new]
    for start in range(0, len(new), NOTED_AT_ONCE):
        some = new[start : start + NOTED_AT_ONCE]
        await asyncio.gather(*(ledger.note(one.file.attempt, one.facts) for one in some))
    if fetch_missing:
        gone = [one.file.key for one in findings if one.state is FileState.MISSING]
        await ledger.move_all([(key, FETCH_AGAIN) for key in gone])
        return ""
    return _news([one.file for one in new if one.state != one.file.state and one.state], directory)


def _news(gone: Sequence[FinishedFile], directory: Path) -> str:
    if not gone:
        return ""
    names = ", ".join(shortened(file.file_name, 60) for file in gone[:3]) + (", …" if len(gone) > 3 else "")
    return (
        f"{count(len(gone), 'finished video')} moved, deleted or changed since: {names}; still done, and "
        f"results.csv says so. `{command('collect', directory, '--missing')}` downloads missing ones again, "
        "free of charge, while the gateway still has them"
    )


Look = Callable[[FinishedFile, bool], FileFinding | None]
"""Checks one video; the flag says whether there is time to look closer at one that seems to have changed."""


def _findings(look: Look, files: Iterable[FinishedFile]) -> list[FileFinding]:
    """What is new about the files, and all that are missing. Runs in a thread."""
    until = time.monotonic() + HASHING
    findings = []
    for file in files:
        found = look(file, time.monotonic() < until)
        if found and (found.state is FileState.MISSING or found.is_new):
            findings.append(found)
    return findings


def _look_at_file(directory: Path, file: FinishedFile, may_hash: bool) -> FileFinding | None:
    """Check one file; if nothing can be said about it, what the ledger says still holds.

    None if there is nothing to report: quick, and true of almost all files.
    """
    path = f"{directory}/{file.file_name}"  # much faster than joining paths, and there may be a million
    try:
        found = os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        state = FileState.DANGLING if os.path.lexists(path) else FileState.MISSING
        return _gone(file, state)
    except OSError:
        return _as_before(file)  # a disk error says nothing about the file
    seen = seen_as(found)
    if not stat.S_ISREG(found.st_mode) or found.st_size != file.size:
        return FileFinding(file, FileState.CHANGED, seen)
    if seen == file.seen:
        return _unchanged(file)
    is_older = found.st_mtime <= (file.collected_at or 0.0)
    if not file.seen and file.state == FileState.IN_PLACE and is_older:
        return None  # collected by an earlier version, which recorded less
    if not may_hash:
        return _as_before(file)
    try:
        with open(path, "rb") as opened:  # noqa: PTH123
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return _as_before(file)
    return FileFinding(file, FileState.IN_PLACE if digest == file.sha256 else FileState.CHANGED, seen)


def _look_at_object(bucket: Bucketful, file: FinishedFile, may_look: bool) -> FileFinding | None:
    """Check one object as `_look_at_file` checks a file; its metadata stands for its content."""
    seen = bucket.seen.get(file.file_name)
    if seen is None:
        return _gone(file, FileState.MISSING)
    if seen == file.seen:
        return _unchanged(file)
    if not may_look:
        return _as_before(file)
    try:
        sha256 = bucket.store.sha256_now(file.file_name)
    except StorageError:
        return _as_before(file)
    return FileFinding(file, FileState.IN_PLACE if sha256 == file.sha256 else FileState.CHANGED, seen)


def _gone(file: FinishedFile, state: FileState) -> FileFinding:
    """The right file may come back unchanged; what identified a changed one is dropped."""
    return FileFinding(file, state, "" if file.state == FileState.CHANGED else file.seen)


def _unchanged(file: FinishedFile) -> FileFinding | None:
    """One that was missing has come back; a changed one stays changed."""
    is_known = file.state in (FileState.IN_PLACE, FileState.CHANGED)
    return None if is_known else FileFinding(file, FileState.IN_PLACE, file.seen)


def _as_before(file: FinishedFile) -> FileFinding | None:
    """What the ledger says about a file: only a missing one is reported again."""
    return FileFinding(file, FileState.MISSING, file.seen) if file.state == FileState.MISSING else None
