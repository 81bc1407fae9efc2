"""Before a run: its folders, and a ledger in line with the manifest and with the files on disk."""

from __future__ import annotations

import time
from pathlib import Path

from batchrunner.collector import remove_part_files
from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.model import Plan
from batchrunner.core.plan import folded
from batchrunner.core.policy import Move
from batchrunner.core.states import Event, TaskState
from batchrunner.ledger import LEDGER_NAME, Ledger

VIDEOS = "videos"
LINKS_LIVE = 48 * 3600.0
"""Seconds after which an uncollected video is not tried again without being asked: its links live 24 h."""


def make_directories(directory: Path) -> None:
    """Make the run directory and its folder for videos.

    Raises:
        UsageError: videos are there, but no ledger that knows them: they would be paid for again.
        StorageError: the folders can't be made.
    """
    videos, ledger = directory / VIDEOS, directory / LEDGER_NAME
    if not (ledger.exists() and ledger.stat().st_size) and any(videos.glob("*.mp4")):
        raise UsageError(
            f"{videos} holds videos, but {directory} has no ledger that knows them",
            "bring the ledger back, or name another run directory with -o DIR",
        )
    try:
        videos.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"can't make {videos}: {error.strerror}", "check its owner and permissions"
        ) from error


async def bring_up_to_date(
    ledger: Ledger, directory: Path, gateway: str, plan: Plan | None, recollect_all: bool
) -> None:
    """Tie the ledger to gateway and manifest, recover from a crash, enter the plan, and look for the files.

    Raises:
        UsageError: the run directory belongs to another gateway or manifest.
    """
    videos = directory / VIDEOS
    await ledger.bind(gateway, plan.name if plan else "")
    await ledger.recover()
    remove_part_files(videos)
    remove_part_files(directory)
    if plan:
        on_disk = frozenset(folded(f"{VIDEOS}/{path.name}") for path in videos.iterdir())
        await ledger.reconcile(plan, on_disk)
    for task in await ledger.tasks(TaskState.DONE):
        path = directory / task.file_name
        if not path.is_file() or path.stat().st_size != task.size:
            await ledger.move(task.key, Move(Event.MISSING, TaskState.COLLECTING))
    oldest = 0.0 if recollect_all else time.time() - LINKS_LIVE
    for task in await ledger.tasks(TaskState.UNCOLLECTED):
        if (task.finished_at or 0.0) >= oldest:
            await ledger.move(task.key, Move(Event.RECOLLECT, TaskState.COLLECTING))
