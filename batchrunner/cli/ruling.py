"""`batchrunner retry`, `resolve` and `results`: a person decides, and no run may be under way."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.cli import options as shared
from batchrunner.cli.output import say, say_json, shown_path
from batchrunner.core.errors import ExitCode, UsageError
from batchrunner.core.states import TaskState
from batchrunner.core.text import count, printable

WANTED_AGAIN = frozenset({TaskState.DONE, TaskState.UNCOLLECTED})
"""States of a task of which a further version can be wanted."""

if TYPE_CHECKING:
    from batchrunner.ledger import Ledger, TaskRecord


def add_retry(commands: Any) -> None:
    """Failed tasks once more."""
    parser = commands.add_parser("retry", help="make failed tasks pending again; the next run submits them")
    parser.add_argument("directory", metavar="DIR", type=Path, help="the run directory")
    parser.add_argument("tasks", metavar="ID", nargs="*", help="id, fingerprint or remote id")
    parser.add_argument("--failed", action="store_true", help="all failed tasks")
    parser.add_argument(
        "--again", action="store_true", help="make a further version of finished videos; the old ones stay"
    )
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: asyncio.run(_retry(options)))


def add_resolve(commands: Any) -> None:
    """Submissions in doubt decided."""
    parser = commands.add_parser(
        "resolve",
        help="decide tasks in doubt",
        description="Decide submissions of which nobody knows whether the gateway accepted and charged them. "
        "Its usage log tells: look for a task of the same time, model and seed. "
        "Without a decision the tasks in doubt are listed.",
    )
    parser.add_argument("directory", metavar="DIR", type=Path, help="the run directory")
    parser.add_argument("task", metavar="ID", nargs="?", help="id or fingerprint")
    parser.add_argument("--all", action="store_true", help="every task in doubt (with --lost)")
    verdict = parser.add_mutually_exclusive_group()
    verdict.add_argument(
        "--adopt", metavar="REMOTE", help="it was accepted under this id: poll and collect it"
    )
    verdict.add_argument(
        "--lost", action="store_true", help="it was not accepted: submit it again (and pay again if it was)"
    )
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: asyncio.run(_resolve(options)))


def add_results(commands: Any) -> None:
    """The CSV once more."""
    parser = commands.add_parser("results", help="write results.csv again from the ledger")
    parser.add_argument("directory", metavar="DIR", type=Path, help="the run directory")
    parser.add_argument("--all", action="store_true", help="with tasks that left the manifest")
    parser.add_argument("--excel", action="store_true", help="with the byte-order mark that Excel asks for")
    shared.add_json(parser)
    parser.set_defaults(run=lambda options: asyncio.run(_results(options)))


async def _retry(options: argparse.Namespace) -> int:
    from batchrunner import ruling  # noqa: PLC0415

    if bool(options.tasks) == options.failed:
        raise UsageError("name the tasks to try again, or all failed ones with --failed")
    if options.again and options.failed:
        raise UsageError("--again is for finished videos, --failed for failed tasks", "give one of them")
    states = WANTED_AGAIN if options.again else frozenset({TaskState.FAILED})
    async with _opened(options.directory) as ledger:
        tasks = await ruling.chosen(ledger, options.tasks, states, options.failed)
        await (ruling.want_again if options.again else ruling.retry)(ledger, tasks)
        await _told(ledger, options, tasks, "pending again; the next run submits and pays")
    return 0


async def _resolve(options: argparse.Namespace) -> int:
    from batchrunner import ruling  # noqa: PLC0415

    if options.adopt is None and not options.lost:
        return await _list_doubts(options)
    if bool(options.task) == options.all:
        raise UsageError("name the task in doubt, or all of them with --all")
    if options.adopt is not None and options.all:
        raise UsageError("one remote id can't be adopted for all", "name the task it belongs to")
    async with _opened(options.directory) as ledger:
        names = [options.task] if options.task else []
        tasks = await ruling.chosen(ledger, names, frozenset({TaskState.IN_DOUBT}), options.all)
        if options.adopt is not None:
            await ruling.adopt(ledger, tasks[0], options.adopt)
            await _told(
                ledger, options, tasks, f"adopted {options.adopt}; the next run polls and collects it"
            )
        else:
            await ruling.declare_lost(ledger, tasks)
            await _told(ledger, options, tasks, "declared lost; the next run submits what is pending")
    return 0


async def _list_doubts(options: argparse.Namespace) -> int:
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(shared.existing_run(options.directory)) as ledger:
        tasks = await ledger.tasks(TaskState.IN_DOUBT)
    if options.task:
        tasks = [task for task in tasks if task.id == options.task]
    if options.json:
        say_json(
            [
                {
                    "id": t.id,
                    "submitted_at": t.submitted_at,
                    "model": t.model,
                    "seed": t.seed,
                    "fingerprint": t.key,
                }
                for t in tasks
            ]
        )
        return ExitCode.DONE
    say(f"{count(len(tasks), 'task')} in doubt" + (", by the time of submission (UTC):" if tasks else ""))
    for task in sorted(tasks, key=lambda task: task.submitted_at or 0.0):
        when = datetime.fromtimestamp(task.submitted_at or 0.0, UTC).strftime("%Y-%m-%d %H:%M:%S")
        say(f"  {when}  {task.model}  seed {task.seed}  {printable(task.id)}")
    return ExitCode.DONE


async def _results(options: argparse.Namespace) -> int:
    from batchrunner import results  # noqa: PLC0415

    async with _opened(options.directory) as ledger:
        tasks = await ledger.tasks(planned_only=not options.all)
        path = results.write(options.directory, tasks, excel=options.excel)
    if options.json:
        say_json({"results": str(path), "rows": len(tasks)})
    else:
        say(f"{shown_path(path)}: {count(len(tasks), 'row')}")
    return 0


@asynccontextmanager
async def _opened(directory: Path) -> AsyncIterator[Ledger]:
    from batchrunner.ledger import LEDGER_NAME, Ledger, RunLock  # noqa: PLC0415

    if not (shared.existing_run(directory) / LEDGER_NAME).exists():
        raise UsageError(
            f"{directory} has no ledger", "name the run directory of an earlier `batchrunner run`"
        )
    with RunLock(directory):
        async with Ledger.open(directory) as ledger:
            await ledger.recover()
            yield ledger


async def _told(ledger: Ledger, options: argparse.Namespace, tasks: list[TaskRecord], what: str) -> None:
    from batchrunner import results  # noqa: PLC0415

    results.write(options.directory, await ledger.tasks(planned_only=True))
    if options.json:
        say_json({"tasks": [{"id": task.id, "fingerprint": task.key} for task in tasks], "done": what})
    elif tasks:
        say(f"{count(len(tasks), 'task')} {what}")
    else:
        say(f"no task {'has failed' if options.command == 'retry' else 'is in doubt'}; nothing changed")
