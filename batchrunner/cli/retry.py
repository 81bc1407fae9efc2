"""`batchrunner retry`, and what commands share that lock the ledger: no run may be in progress."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli import retry_words as words
from batchrunner.cli.console import say, say_json, talk
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import UsageError
from batchrunner.core.states import TaskState
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.core.verdicts import VideoVerdict
    from batchrunner.ledger import Ledger, TaskRecord


def add_retry(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `retry`."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="run directory, or its manifest")
    parser.add_argument("tasks", metavar="ID", nargs="*", default=[], help="ID, fingerprint or remote ID")
    parser.add_argument(
        "--failed", action="store_true", help="all failed tasks except those that may be paid for"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="make finished videos again as new versions; the old files are kept (pays again)",
    )
    parser.add_argument(
        "--following",
        action="store_true",
        help="with --again: also the videos that were made from these",
    )
    parser.add_argument(
        "--from",
        dest="verdicts",
        metavar="FILE",
        type=Path,
        help="with --again: the videos that this CSV file of verdicts rejects",
    )
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: run_async(_retry(of_run(options))))


def of_run(options: argparse.Namespace) -> argparse.Namespace:
    """The options with a manifest replaced by its run directory."""
    options.directory = existing_run(options.directory)
    return options


async def _retry(options: argparse.Namespace) -> int:
    from batchrunner.engine.preparation import names_taken  # noqa: PLC0415
    from batchrunner.operations import overrides  # noqa: PLC0415

    _check(options)
    if options.verdicts:
        return await _make_rejected_again(options)
    states = overrides.WANTED_AGAIN if options.again else frozenset({TaskState.FAILED})
    async with opened(options.directory) as ledger:
        chosen = await overrides.chosen(ledger, options.tasks, states, options.failed, or_pending=True)
        already = [task for task in chosen if task.state is TaskState.PENDING]
        tasks = [task for task in chosen if task.state is not TaskState.PENDING]
        accepted, stay = [task for task in tasks if task.may_be_paid_for], list["TaskRecord"]()
        if options.failed:  # tasks that may be paid for must be named one by one
            tasks = [task for task in tasks if not task.may_be_paid_for]
            if accepted and not tasks:
                raise UsageError(f"nothing to retry: {words.accepted(accepted)}", words.free(options))
        if options.again:
            tasks, stay = await _with_followers(ledger, chosen, options.following)
        following = await overrides.waiting_for(ledger, tasks)
        if options.again:
            taken = await names_taken(ledger, options.directory)
            await overrides.want_again(ledger, tasks, taken, time.time())
        else:
            await overrides.retry(ledger, tasks)
        groups = {"left_out" if options.failed else "accepted_before": accepted}
        groups |= {"made_from_them": stay, "pending_already": already, "waiting_for_them": following}
        them = "it" if len(tasks) == 1 else "them"
        done = f"pending again; the next run will submit and pay for {them}" if tasks else "nothing changed"
        none = "no finished videos" if options.again else "no tasks failed"
        none = words.pending_already(already) if already else none
        more = {name: as_names(these) for name, these in groups.items() if these}
        await tell(ledger, options, tasks, done, more, none)
        own, needed = [await overrides.forecast_of(ledger, one) for one in (tasks, following)]
    for line in words.beside(tasks, already, own, needed) if not options.json else ():
        say(line)
    words.offer(options, chosen, stay)
    if accepted and options.failed:
        talk(f"skipped: {words.accepted(accepted)}")
        talk(f"  hint: {words.free(options)}")
    elif accepted:
        it = "it" if len(accepted) == 1 else "any of them"
        talk(f"{words.accepted(accepted)}: the next run will submit again, and pay twice if {it} was charged")
    return 0


def _check(options: argparse.Namespace) -> None:
    """Refuse options that don't go together.

    Raises:
        UsageError: they don't, or no task is named.
    """
    if options.again and options.failed:
        raise UsageError("--again is for finished videos, --failed for failed tasks", "use only one of them")
    if options.tasks and options.failed:
        raise UsageError("--failed means all failed tasks", "pass either --failed or IDs, not both")
    if options.following and not options.again:
        raise UsageError("--following needs --again", "it is for videos that were made from others")
    if not (options.tasks or options.failed or options.verdicts):
        others = "--from FILE for the rejected ones" if options.again else "--failed for all failed tasks"
        raise UsageError("no task is named", f"name the tasks to retry, or pass {others}")


async def _make_rejected_again(options: argparse.Namespace) -> int:
    """Request new versions of the videos that a file of verdicts rejects."""
    from batchrunner.engine.preparation import names_taken  # noqa: PLC0415
    from batchrunner.ledger.history import file_names  # noqa: PLC0415
    from batchrunner.operations import overrides, verdicts  # noqa: PLC0415

    if options.failed:
        raise UsageError("--from is for finished videos, --failed for failed tasks", "use only one of them")
    if not options.again:
        raise UsageError("--from needs --again", "--again makes new versions of the videos, and pays again")
    if options.tasks:
        raise UsageError("--from says which videos are rejected", "pass either --from or IDs, not both")
    given, file = verdicts.read_verdicts(options.verdicts), str(options.verdicts)
    async with opened(options.directory) as ledger:
        now = time.time()
        on_disk, names = await names_taken(ledger, options.directory), await ledger.ask_history(file_names)
        rejects = await verdicts.find_rejects(ledger, given, file, now)
        newer = verdicts.unrecorded_versions(rejects.tasks, on_disk, names)
        tasks, stay = await _with_followers(ledger, rejects.tasks, options.following)
        following = await overrides.waiting_for(ledger, tasks)
        await overrides.want_again(ledger, tasks, on_disk, now)
        await write_results(ledger, options.directory)
        own, needed = [await overrides.forecast_of(ledger, one) for one in (tasks, following)]
    if newer:
        talk(f"the ledger doesn't know the newest video of {words.named(newer)} in the folder of videos")
        talk("  hint: look at it before the next run, which may pay for another one")
    versions, them = ("a new version", "it") if len(tasks) == 1 else ("new versions", "them")
    done = "nothing changed"
    if tasks:
        done = f"will be made again as {versions}; the next run will submit and pay for {them}"
    if options.json:
        skipped = [_rejected(one.verdict) | {"reason": one.reason} for one in rejects.skipped]
        others = {"made_from_them": as_names(stay), "waiting_for_them": as_names(following)}
        more = {"skipped": skipped, "other_runs": rejects.other_runs}
        say_json({"tasks": as_names(tasks), "done": done} | more | others)
        return 0
    say(f"{count(len(tasks), 'video')} {done}" if tasks else f"no video to make again; {done}")
    for line in words.beside(tasks, (), own, needed):
        say(line)
    words.offer(options, tasks, stay)
    if left_out := rejects.skipped_in_words():
        talk(f"skipped: {left_out}")
    return 0


async def _with_followers(
    ledger: Ledger, tasks: list[TaskRecord], following: bool
) -> tuple[list[TaskRecord], list[TaskRecord]]:
    """The videos to make again, and those that were made from them and stay as they are."""
    from batchrunner.operations import overrides  # noqa: PLC0415

    followers = await overrides.made_from(ledger, tasks)
    again = [task for task in tasks if task.state is not TaskState.PENDING]
    unfinished = [task for task in followers if task.state not in overrides.WANTED_AGAIN]
    if following and unfinished:
        raise UsageError(
            f"not finished yet: {words.named(unfinished)}, made from the old version",
            "run the manifest until it is, then repeat this command; nothing was changed",
        )
    return ([*again, *followers], []) if following else (again, followers)


def as_names(tasks: list[TaskRecord]) -> list[dict[str, str]]:
    """Tasks as JSON values."""
    return [{"id": task.id, "fingerprint": task.key} for task in tasks]


def _rejected(verdict: VideoVerdict) -> dict[str, str]:
    """The video that a verdict is about, as a JSON value."""
    return {"id": verdict.id, "fingerprint": verdict.fingerprint, "file_name": verdict.file_name}


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Ledger]:
    """Open and lock the ledger of an existing run directory.

    Raises:
        BusyError: a run is in progress.
        UsageError: there is no ledger.
    """
    from batchrunner.ledger import LEDGER_NAME, Ledger, RunLock  # noqa: PLC0415

    if not (directory / LEDGER_NAME).exists():
        raise UsageError(
            f"{directory} has no ledger", "pass the run directory of an earlier `batchrunner run`"
        )
    with RunLock(directory):
        async with Ledger.open(directory) as ledger:
            await ledger.recover()
            yield ledger


async def write_results(
    ledger: Ledger, directory: Path, planned_only: bool = True, excel: bool | None = None
) -> int:
    """Write results.csv, and report if a copy of an edited file was kept; return the number of rows."""
    from batchrunner.output.results_file import update  # noqa: PLC0415

    rows, kept = await update(ledger, directory, planned_only, excel)
    if kept:
        talk(kept)
    return rows


async def tell(
    ledger: Ledger,
    options: argparse.Namespace,
    tasks: list[TaskRecord],
    what: str,
    more: Mapping[str, object] | None = None,
    none: str = "no tasks in doubt",
) -> None:
    """Write results.csv and report what was done with these tasks, or that there are `none`.

    `more` goes only into the JSON.
    """
    await write_results(ledger, options.directory)
    if options.json:
        say_json({"tasks": as_names(tasks), "done": what} | dict(more or {}))
    else:
        say(f"{count(len(tasks), 'task')} {what}" if tasks else f"{none}; nothing changed")
