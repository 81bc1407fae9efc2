"""Prepares a run: creates folders, and reconciles the ledger with the manifest and the files on disk."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from batchrunner.core.errors import StorageError, UsageError
from batchrunner.core.estimate import REFERENCE_CURRENCY
from batchrunner.core.file_names import LEDGER_NAME, LOG_NAME, PICTURES, RESULTS_NAME, RUN_ID_NAME, VIDEOS
from batchrunner.core.model import Plan
from batchrunner.core.plan import folded
from batchrunner.core.policy import COLLECT_AGAIN, POLL_AGAIN
from batchrunner.core.states import TaskState
from batchrunner.core.video_url import folder_of
from batchrunner.engine.evidence import (
    Evidence,
    keep_run_id,
    mark_log,
    read_evidence,
    run_id_beside_videos,
)
from batchrunner.engine.video_place import bucket_of
from batchrunner.ledger import MANIFEST, Ledger, LedgerReader, check_path, recover_command
from batchrunner.ledger.history import LOOKED_AT
from batchrunner.storage.files import remove_part_files, sync_directory
from batchrunner.storage.folders import make_folder, unusable
from batchrunner.storage.log_files import parts


def check_directory(directory: Path, manifest: str = MANIFEST, recovers: bool = False) -> None:
    """Check that a run may use this directory; with `recovers`, whatever is left in it. Creates nothing.

    Raises:
        UsageError: there are results without their ledger, which would be paid for again; or file names would
            not be UTF-8.
    """
    if (encoding := sys.getfilesystemencoding()) != "utf-8":  # restarting the command did not help
        raise UsageError(
            f"Python's file system encoding is {encoding}, which can't encode all file names",
            "start Python with -X utf8 or PYTHONUTF8=1",
        )
    check_path(directory / LEDGER_NAME)
    if directory.is_symlink() and not directory.exists():
        raise UsageError(
            f"{directory} is a symbolic link to {directory.readlink()}, which does not exist",
            "mount its disk, or create that folder; tasks paid for there would be paid for again elsewhere",
        )
    if not recovers and (refusal := lost_ledger(directory, manifest)):
        raise refusal


def lost_ledger(directory: Path, manifest: str = MANIFEST) -> UsageError | None:
    """The error if there are results without their ledger; None if all is well."""
    if not has_no_ledger(directory):
        return None
    videos = directory / VIDEOS
    traces = [
        path
        for path in (directory / RESULTS_NAME, *parts(directory / LOG_NAME), videos / RUN_ID_NAME)
        if path.exists() and path.stat().st_size
    ]
    for found in traces or videos.glob("*.mp4"):
        return UsageError(
            f"{found} exists, but {directory} has no ledger for it",
            f"`{recover_command(directory, manifest)}` rebuilds it, free of charge, from what "
            "the gateway and the run directory still know; or restore the ledger from a backup",
        )
    return None


def make_directories(directory: Path, recovers: bool = False) -> None:
    """Create the run directory and its video folder; with `recovers`, whatever is left in it.

    Raises:
        UsageError: as for `check_directory`.
        StorageError: the folders can't be created or written to.
    """
    check_directory(directory, recovers=recovers)
    videos, ledger = directory / VIDEOS, directory / LEDGER_NAME
    make_folder(videos, parents=True)
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass  # detect an unwritable directory before anything is paid for
    except OSError as error:
        raise unusable(directory, error) from error
    if (results := directory / RESULTS_NAME).is_dir():
        raise StorageError(f"{results} is a folder, but must be a file", "move or rename that folder")
    if not ledger.exists():
        check_videos_writable(directory)


def check_videos_writable(directory: Path) -> None:
    """Check that videos can be saved. If none is expected, their folder may be a read-only archive.

    Raises:
        StorageError: the video folder can't be written to.
    """
    try:
        with tempfile.TemporaryFile(dir=directory / VIDEOS):
            pass
    except OSError as error:
        raise unusable(directory / VIDEOS, error) from error


async def choose_folder(ledger: LedgerReader, directory: Path, url: str, recovers: bool) -> str:
    """Have the videos stored in the folder that a URL names; return the URL if it names another place.

    The run directory's own video folder becomes a symlink to it, so that everything finds them there.

    Raises:
        UsageError: the run has its videos elsewhere, or those in the folder are another run's.
        StorageError: the folder can't be used.
    """
    if not (folder := folder_of(url)):
        return url
    link, place, target = directory / VIDEOS, Path(folder), Path(folder) / VIDEOS
    elsewhere = (await ledger.binding()).videos or (link.resolve() if link.is_symlink() else "")
    if not elsewhere and set(os.listdir(link)) - {RUN_ID_NAME}:  # noqa: PTH208
        elsewhere = link
    if elsewhere == target.resolve():
        return ""
    if elsewhere:
        raise UsageError(
            f"this run directory has its videos at {elsewhere}, not at {target}",
            "correct or remove --videos, and `run.videos` in the manifest, to resume there",
        )
    if not place.is_dir():
        raise StorageError(f"{place} is not a folder", "mount its disk, or create the folder")
    if (target / RUN_ID_NAME).exists() and not recovers:
        raise UsageError(
            f"the videos at {url} belong to another run directory",
            "use that run directory to resume, or another folder for this one",
        )
    make_folder(target)
    try:
        (link / RUN_ID_NAME).unlink(missing_ok=True)
        link.rmdir()
        link.symlink_to(target)
        sync_directory(directory)
    except OSError as error:
        raise unusable(link, error) from error
    check_videos_writable(directory)
    return ""


def has_no_ledger(directory: Path) -> bool:
    """Whether a run directory has no ledger yet."""
    ledger = directory / LEDGER_NAME
    return not (ledger.exists() and ledger.stat().st_size)


async def identify(ledger: Ledger, directory: Path, is_new: bool, recovers: bool) -> Evidence | None:
    """Link ledger, videos and run.log by the run ID; None if nothing can have been paid for before.

    Raises:
        UsageError: the videos belong to another ledger.
        StorageError: the run ID can't be written.
    """
    beside = run_id_beside_videos(directory)
    if is_new and not recovers:
        await ledger.set_meta(LOOKED_AT, repr(time.time()))
        keep_run_id(directory, await ledger.run_id())
        return None
    evidence = await read_evidence(directory, ledger, everything=recovers)
    await mark_log(directory, ledger, evidence)
    if is_new and (left := beside or next(iter(evidence.run_ids - {await ledger.run_id()}), "")):
        await ledger.set_meta("run_id", left)
    if recovers and beside != await ledger.run_id():
        (directory / VIDEOS / RUN_ID_NAME).unlink(missing_ok=True)
    keep_run_id(directory, await ledger.run_id())
    return evidence


def names_on_disk(directory: Path) -> frozenset[str]:
    """The folded names of everything in the video folder; no new video may use one of them."""
    return frozenset(folded(f"{VIDEOS}/{name}") for name in os.listdir(directory / VIDEOS))  # noqa: PTH208


async def names_taken(ledger: LedgerReader, directory: Path) -> frozenset[str]:
    """The folded names of everything that lies in the place of a run's videos; none may be used again.

    Raises:
        StorageError: the place can't be read.
    """
    bucket = await bucket_of(ledger, directory)
    return names_on_disk(directory) | frozenset(map(folded, bucket.seen if bucket else ()))


async def bring_up_to_date(
    ledger: Ledger,
    directory: Path,
    plan: Plan | None,
    recollect_all: bool,
    names_again: bool = False,
    elsewhere: Iterable[str] = (),
) -> int:
    """Recover from a crash, enter the plan, and resume collecting; return how many tasks left the plan.

    `recollect_all` (set by the user) retries what was given up, and links known to be dead. With
    `names_again`, tasks may reuse their former file names even if the files exist. `elsewhere` has the names
    of the videos that are not in the run directory.
    """
    videos = directory / VIDEOS
    await ledger.recover()
    if plan:
        await ledger.reserve_missing(plan.pricing.currency or REFERENCE_CURRENCY)
    for folder in (videos, directory, directory / PICTURES):
        remove_part_files(folder)
    gone = 0
    if plan:
        on_disk = frozenset[str]() if names_again else names_on_disk(directory) | set(map(folded, elsewhere))
        gone = await ledger.reconcile(plan, on_disk)
    failed = await ledger.tasks(TaskState.FAILED) if recollect_all else []
    uncollected = await ledger.tasks(TaskState.UNCOLLECTED)
    again = [(task.key, POLL_AGAIN) for task in failed if task.may_be_paid_for]
    again += [(task.key, COLLECT_AGAIN) for task in uncollected if recollect_all or not task.links_dead]
    await ledger.move_all(again)
    if again:  # what needs them may go on, also if this run is killed before it can say so
        await ledger.note_unmet(())
    return gone
