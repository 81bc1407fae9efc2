"""`batchrunner retry`, and what commands share that lock the ledger: no run may be in progress."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.console import say, say_json, shown_path, talk
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import UsageError
from batchrunner.core.states import TaskState
from batchrunner.core.text import command, count, printable, shortened

MOST_NAMED = 5
"""How many tasks a line names."""
MOST_TYPED = 20
"""How many IDs an offered command has."""

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

    if options.again and options.failed:
        raise UsageError("--again is for finished videos, --failed for failed tasks", "use only one of them")
    if options.tasks and options.failed:
        raise UsageError("--failed means all failed tasks", "pass either --failed or IDs, not both")
    if options.following and not options.again:
        raise UsageError("--following needs --again", "it is for videos that were made from others")
    if options.verdicts:
        return await _make_rejected_again(options)
    if not options.tasks and not options.failed:
        others = "--from FILE for the rejected ones" if options.again else "--failed for all failed tasks"
        raise UsageError("no task is named", f"name the tasks to retry, or pass {others}")
    states = overrides.WANTED_AGAIN if options.again else frozenset({TaskState.FAILED})
    states |= {TaskState.PENDING} if options.following else frozenset()
    async with opened(options.directory) as ledger:
        tasks = await overrides.chosen(ledger, options.tasks, states, options.failed)
        accepted = [task for task in tasks if task.may_be_paid_for]
        if options.failed:  # tasks that may be paid for must be named one by one
            tasks = [task for task in tasks if not task.may_be_paid_for]
            if accepted and not tasks:
                raise UsageError(f"nothing to retry: {_told(accepted)}", _hint(options.directory))
        more = {"left_out" if options.failed else "accepted_before": _names(accepted)} if accepted else {}
        if options.again:
            tasks, stay = await _with_followers(ledger, tasks, options.following)
            await overrides.want_again(
                ledger, tasks, await names_taken(ledger, options.directory), time.time()
            )
            more |= {"made_from_them": _names(stay)} if stay else {}
        else:
            stay = []
            await overrides.retry(ledger, tasks)
        them = "it" if len(tasks) == 1 else "them"
        done = f"pending again; the next run will submit and pay for {them}"
        await tell(ledger, options, tasks, done, more)
    _offer(options, tasks, stay)
    if accepted and options.failed:
        talk(f"skipped: {_told(accepted)}")
        talk(f"  hint: {_hint(options.directory)}")
    elif accepted:
        it = "it" if len(accepted) == 1 else "any of them"
        talk(f"{_told(accepted)}: the next run will submit again, and pay twice if {it} was charged")
    return 0


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
        await overrides.want_again(ledger, tasks, on_disk, now)
        await write_results(ledger, options.directory)
    if newer:
        named = ", ".join(shortened(task.id, 40) for task in newer[:MOST_NAMED])
        named += f" and {len(newer) - MOST_NAMED:,} more" if len(newer) > MOST_NAMED else ""
        talk(f"the ledger doesn't know the newest video of {named} in the folder of videos")
        talk("  hint: look at it before the next run, which may pay for another one")
    versions, them = ("a new version", "it") if len(tasks) == 1 else ("new versions", "them")
    done = "nothing changed"
    if tasks:
        done = f"will be made again as {versions}; the next run will submit and pay for {them}"
    if options.json:
        skipped = [_rejected(one.verdict) | {"reason": one.reason} for one in rejects.skipped]
        more = {"skipped": skipped, "other_runs": rejects.other_runs, "made_from_them": _names(stay)}
        say_json({"tasks": _names(tasks), "done": done} | more)
        return 0
    say(f"{count(len(tasks), 'video')} {done}" if tasks else f"no video to make again; {done}")
    _offer(options, tasks, stay)
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
        named = ", ".join(shortened(task.id, 40) for task in unfinished[:MOST_NAMED])
        raise UsageError(
            f"not finished yet: {named}, made from the old version",
            "run the manifest until it is, then repeat this command; nothing was changed",
        )
    return ([*again, *followers], []) if following else (again, followers)


def _offer(options: argparse.Namespace, tasks: list[TaskRecord], stay: list[TaskRecord]) -> None:
    """Say which videos were made from those that are made again, and how to make them again, too."""
    if not stay or options.json:
        return
    named = ", ".join(shortened(task.id, 40) for task in stay[:MOST_NAMED])
    more = f" and {len(stay) - MOST_NAMED:,} more" if len(stay) > MOST_NAMED else ""
    was, them = ("was", "it") if len(stay) == 1 else ("were", "them")
    ids = [task.id for task in tasks] if len(tasks) <= MOST_TYPED else ["ID…"]
    again = command("retry", shown_path(options.directory), *ids, "--again", "--following")
    talk(f"kept as before: {named}{more}, which {was} made from {'it' if len(tasks) == 1 else 'them'}")
    talk(f"  to make {them} again, too, and pay for {them}: {printable(again)}")


def _rejected(verdict: VideoVerdict) -> dict[str, str]:
    """The video that a verdict is about, as a JSON value."""
    return {"id": verdict.id, "fingerprint": verdict.fingerprint, "file_name": verdict.file_name}


def _told(accepted: list[TaskRecord]) -> str:
    """The tasks that the gateway accepted but never finished, with their last error code."""
    were = "was" if len(accepted) == 1 else "were"
    named = [f"{shortened(task.id, 40)} ({printable(task.error_code)})" for task in accepted[:MOST_NAMED]]
    more = f" and {len(accepted) - MOST_NAMED:,} more" if len(accepted) > MOST_NAMED else ""
    return f"{count(len(accepted), 'task')} {were} accepted and may be paid for: {', '.join(named)}{more}"


def _hint(directory: Path) -> str:
    again = command("collect", shown_path(directory))
    return f"`{again}` checks again for free; to pay for them again, name them"


def _names(tasks: list[TaskRecord]) -> list[dict[str, str]]:
    """Tasks as JSON values."""
    return [{"id": task.id, "fingerprint": task.key} for task in tasks]


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
) -> None:
    """Write results.csv and report what was done with these tasks; `more` goes only into the JSON."""
    await write_results(ledger, options.directory)
    if options.json:
        say_json({"tasks": _names(tasks), "done": what} | dict(more or {}))
    elif tasks:
        say(f"{count(len(tasks), 'task')} {what}")
    else:
        again = getattr(options, "again", False)
        none = "no finished videos" if again else "no tasks failed" if options.command == "retry" else ""
        say(f"{none or 'no tasks in doubt'}; nothing changed")
