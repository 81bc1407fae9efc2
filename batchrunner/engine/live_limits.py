"""Limits changed during a run, through a small file in the run directory that the run watches.

They hold until that run ends; then the file is removed, and the manifest's values are what counts again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.file_names import LIMITS_NAME
from batchrunner.core.model import RunSettings
from batchrunner.engine.admission import Admission
from batchrunner.engine.collector import Collector
from batchrunner.manifest import checked_limits
from batchrunner.storage.files import PartFile, sync_directory

LOOK_INTERVAL = 1.0
"""Real seconds between two looks at the file."""
MOST_BYTES = 4096


def read_limits(directory: Path) -> Mapping[str, float]:
    """The limits that were set in a run directory; empty where none were.

    Raises:
        UsageError: the file holds something else.
    """
    try:
        with (directory / LIMITS_NAME).open("rb") as file:
            text = file.read(MOST_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"can't read {LIMITS_NAME}: {error.strerror}") from error
    try:
        return checked_limits(json.loads(text, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{LIMITS_NAME} is not JSON: {error}") from error


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def write_limits(directory: Path, limits: Mapping[str, float]) -> None:
    """Put limits in place, whole: a run may look at any moment.

    Raises:
        StorageError: the disk refused.
    """
    path = directory / LIMITS_NAME
    part = path.with_name(f".limits.{os.urandom(4).hex()}{PartFile.SUFFIX}")
    try:
        try:
            with part.open("xb") as file:
                file.write(json.dumps(dict(limits)).encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            sync_directory(directory)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"can't write {path}: {error.strerror}", "check its disk and permissions"
        ) from error


@contextmanager
def limits_of_one_run(directory: Path) -> Iterator[None]:
    """What is set meanwhile holds no longer: nothing of an earlier run, and nothing for a later one."""
    _forget(directory)
    try:
        yield
    finally:
        _forget(directory)


def _forget(directory: Path) -> None:
    with suppress(OSError):
        (directory / LIMITS_NAME).unlink(missing_ok=True)


class LiveLimits:
    """Keeps a run at the limits that were set for it, and tells of each change."""

    def __init__(
        self,
        directory: Path,
        settings: RunSettings,
        admission: Admission,
        collector: Collector,
        notice: Callable[[str], None],
    ) -> None:
        self._directory, self._admission, self._collector = directory, admission, collector
        self._notice = notice
        self._now: dict[str, float] = {
            "concurrency": settings.concurrency,
            "downloads": settings.downloads,
            "submit_rate": settings.submit_rate,
        }
        self._complaint = ""

    async def keep_watching(self) -> None:
        """Look at the file again and again, and take over what it says."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_INTERVAL)

    def look(self) -> None:
        """Take over what the file says now; one that makes no sense is ignored, and named once."""
        try:
            given, complaint = read_limits(self._directory), ""
        except UsageError as error:
            given, complaint = {}, f"ignoring invalid limits: {error}"
        if complaint and complaint != self._complaint:
            self._notice(complaint)
        self._complaint = complaint
        changes = {name: value for name, value in given.items() if value != self._now[name]}
        if not changes:
            return
        told = ", ".join(f"{name} {self._now[name]:g} → {value:g}" for name, value in changes.items())
        self._now |= changes
        self._admission.allow(int(self._now["concurrency"]), self._now["submit_rate"])
        self._collector.allow(int(self._now["downloads"]))
        self._notice(f"limits changed until this run ends: {told}")
