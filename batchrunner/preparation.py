"""Before a run: its folders, and a ledger in line with the manifest and with the files on disk."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.model import Plan
from batchrunner.core.plan import folded
from batchrunner.core.policy import GIVEN_UP, AttemptFacts, Move, is_without_last_word
from batchrunner.core.states import Event, TaskState
from batchrunner.files import remove_part_files
from batchrunner.ledger import LEDGER_NAME, Ledger
from batchrunner.results import RESULTS_NAME
from batchrunner.runlog import LOG_NAME

VIDEOS = "videos"
LINKS_LIVE = 48 * 3600.0
"""Seconds after which an uncollected video is not tried again without being asked: its links live 24 h."""


def make_directories(directory: Path) -> None:
    """Make the run directory and its folder for videos.

    Raises:
        UsageError: results are there, but no ledger that knows them: they would be paid for again; or names
            of files would not be UTF-8.
        StorageError: the folders can't be made, or not be written to.
    """
    if (encoding := sys.getfilesystemencoding()) != "utf-8":  # a command has restarted itself before
        raise UsageError(
            f"this Python names files in {encoding}, which lacks letters that their names may have",
            "start it with -X utf8, or with PYTHONUTF8=1",
        )
    videos, ledger = directory / VIDEOS, directory / LEDGER_NAME
    if not (ledger.exists() and ledger.stat().st_size):
        traces = [
            path
            for path in (directory / RESULTS_NAME, directory / LOG_NAME)
            if path.exists() and path.stat().st_size
        ]
        for found in traces or videos.glob("*.mp4"):
            raise UsageError(
                f"{found} is there, but {directory} has no ledger that knows it",
                "bring the ledger back, or name another run directory with -o DIR",
            )
    try:
        videos.mkdir(parents=True, exist_ok=True)
        for folder in (directory, videos):
            with tempfile.TemporaryFile(dir=folder):
                pass  # what can't be written to is to be known before anything is paid for
        if (directory / RESULTS_NAME).is_dir():
            raise IsADirectoryError(21, f"{RESULTS_NAME} is a folder")
    except OSError as error:
        raise StorageError(
            f"can't write to {videos}: {error.strerror}", "check its owner and permissions"
        ) from error


def names_on_disk(directory: Path) -> frozenset[str]:
    """The folded names of all that lies in the folder for videos; no new video may take one."""
    return frozenset(folded(f"{VIDEOS}/{path.name}") for path in (directory / VIDEOS).iterdir())


async def bring_up_to_date(
    ledger: Ledger, directory: Path, gateway: str, plan: Plan | None, recollect_all: bool
) -> int:
    """Tie the ledger to gateway and manifest, recover from a crash, enter the plan, and look for the files.

    Returns how many tasks left the plan.

    Raises:
        UsageError: the run directory belongs to another gateway or manifest.
    """
    videos = directory / VIDEOS
    await ledger.bind(gateway, plan.name if plan else "")
    await ledger.recover()
    remove_part_files(videos)
    remove_part_files(directory)
    gone = 0
    if plan:
        gone = await ledger.reconcile(plan, names_on_disk(directory))
    for task in await ledger.tasks(TaskState.DONE):
        path = directory / task.file_name
        if not path.is_file() or path.stat().st_size != task.size:
            await ledger.move(task.key, Move(Event.MISSING, TaskState.COLLECTING))
    for task in await ledger.tasks(TaskState.FAILED) if recollect_all else ():
        if task.remote_id and is_without_last_word(task.error_code):
            facts = AttemptFacts(outcome=GIVEN_UP)
            await ledger.move(task.key, Move(Event.RECOLLECT, TaskState.GENERATING, facts=facts))
    oldest = 0.0 if recollect_all else time.time() - LINKS_LIVE
    for task in await ledger.tasks(TaskState.UNCOLLECTED):
        if (task.finished_at or 0.0) >= oldest:
            await ledger.move(task.key, Move(Event.RECOLLECT, TaskState.COLLECTING))
    return gone
