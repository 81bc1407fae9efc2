"""Changes limits during a run, through a small file in the run directory that the run watches.

They apply until that run ends; then the file is removed, and the manifest's values apply again.
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
from batchrunner.core.model import AUTO, RunSettings
from batchrunner.engine.collector import Collector
from batchrunner.engine.dispatch import Dispatch
from batchrunner.manifest import checked_limits
from batchrunner.storage.files import remove_part_files, replacing, sync_directory

LOOK_INTERVAL = 1.0
"""Real seconds between checks of the file."""
MOST_BYTES = 4096

Limits = Mapping[str, float | str]
"""By name: numbers, or `auto`."""


def shown(limit: float | str) -> str:
    """A limit as shown to the user."""
    return limit if isinstance(limit, str) else f"{limit:g}"


def read_limits(directory: Path) -> Limits:
    """The limits set in a run directory; empty if none are.

    Raises:
        UsageError: the file is invalid or can't be read.
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


def write_limits(directory: Path, limits: Limits) -> None:
    """Write the limits atomically, since a run may read them at any moment.

    Raises:
        StorageError: the file can't be written.
    """
    path = directory / LIMITS_NAME
    remove_part_files(directory, LIMITS_NAME)
    try:
        with replacing(path) as file:
            file.write(json.dumps(dict(limits)).encode())
            file.flush()
            os.fsync(file.fileno())
        sync_directory(directory)
    except OSError as error:
        raise StorageError(
            f"can't write {path}: {error.strerror}", "check its disk and permissions"
        ) from error


@contextmanager
def limits_of_one_run(directory: Path) -> Iterator[None]:
    """Remove the limits before and after a run, so that they never apply to another one."""
    _forget(directory)
    try:
        yield
    finally:
        _forget(directory)


def _forget(directory: Path) -> None:
    with suppress(OSError):
        (directory / LIMITS_NAME).unlink(missing_ok=True)


class LiveLimits:
    """Applies the limits set for a run, and reports each change."""

    def __init__(
        self,
        directory: Path,
        settings: RunSettings,
        dispatch: Dispatch,
        collector: Collector,
        notice: Callable[[str], None],
    ) -> None:
        self._directory, self._dispatch, self._collector = directory, dispatch, collector
        self._notice = notice
        self._now: dict[str, float | str] = {
            "concurrency": settings.concurrency or "auto",
            "downloads": settings.downloads,
            "submit_rate": settings.submit_rate,
        }
        self._complaint = ""

    async def keep_watching(self) -> None:
        """Keep checking the file and applying its limits; never returns."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_INTERVAL)

    def look(self) -> None:
        """Apply the file's current limits; an invalid file is ignored and reported once."""
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
        told = ", ".join(
            f"{name} {shown(self._now[name])} → {shown(value)}" for name, value in changes.items()
        )
        self._now |= changes
        concurrency = changes.get("concurrency")  # accounts have their own, until it is set for all
        if isinstance(concurrency, str):
            concurrency = AUTO
        most = None if concurrency is None else int(concurrency)
        self._dispatch.allow(most, float(self._now["submit_rate"]))
        self._collector.allow(int(self._now["downloads"]))
        self._notice(f"limits changed until this run ends: {told}")
