"""`batchrunner status`: shows a run's progress, or one task's history."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli import streams
from batchrunner.cli.console import say, say_json, shown_path
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import existing_run
from batchrunner.core.errors import UsageError
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.redaction import redacted, redacted_values
from batchrunner.core.states import TaskState
from batchrunner.core.text import count, printable, shortened

if TYPE_CHECKING:
    from batchrunner.core.summary import Summary
    from batchrunner.ledger import LedgerReader, TaskRecord

MOST_LISTED = 20
WATCH_INTERVAL = 2.0
"""Seconds between refreshes with `--watch`."""
CLEAR = "\x1b[H\x1b[2J"


def add_status(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `status`."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="run directory, or its manifest")
    parser.add_argument(
        "task", metavar="ID", nargs="?", help="show one task's history: ID, fingerprint or remote ID"
    )
    parser.add_argument("--watch", action="store_true", help="refresh every 2 s until the run ends")
    shared.add_json(parser)
    parser.set_defaults(run=status)


def status(options: argparse.Namespace) -> int:
    """Show the counts and the tasks that need attention, or one task."""
    options.manifest, options.directory = options.directory, existing_run(options.directory)
    return run_async(_status(options))


async def _status(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415

    from batchrunner.ledger import LedgerReader, is_locked  # noqa: PLC0415

    directory = options.directory
    async with LedgerReader.open_existing(directory) as ledger:
        if options.task:
            return await _story(ledger, options)
        while True:
            going_on = is_locked(directory)
            if options.watch and sys.stdout.isatty():
                say(CLEAR)
            summary = await _show(ledger, directory, options, going_on)
            if not (options.watch and going_on) or streams.stdout_reader_gone():
                return summary.exit_code if not going_on else 0
            await asyncio.sleep(WATCH_INTERVAL)


async def _show(
    ledger: LedgerReader, directory: Path, options: argparse.Namespace, going_on: bool
) -> Summary:
    from batchrunner.cli.run_summary import (  # noqa: PLC0415
        as_values,
        run_command,
        spent_in_words,
        wanting_in,
        what_next,
    )
    from batchrunner.core.summary import Summary, still_matters  # noqa: PLC0415
    from batchrunner.ledger import WAITING_FOR, last_stop  # noqa: PLC0415

    counts = await ledger.counts()
    stop = None if going_on else still_matters(await last_stop(ledger), counts)
    summary = Summary(counts=counts, stop=stop, spent=await ledger.spent())
    wanting = await wanting_in(ledger)
    waiting_for = redacted(await ledger.meta(WAITING_FOR)) if going_on else ""
    if options.json:
        now = {"waiting_for": waiting_for}
        say_json(as_values(directory, summary, 0.0, wanting) | _while(going_on) | now)
        return summary
    binding = await ledger.binding()
    total = sum(summary.counts.values())
    say(f"{printable(binding.name)}: {summary.counts[TaskState.DONE]:,} of {count(total, 'task')} done")
    say(f"  {'running' if going_on else 'not running'}; gateway {printable(binding.gateway)}")
    if waiting_for:
        say(f"  not submitting: {printable(waiting_for)}")
    if stop:
        say(f"  the last run stopped: {printable(stop.why)}")
        say(f"    hint: {printable(stop.hint)}")
    for state in TaskState:
        if summary.counts[state]:
            say(f"{summary.counts[state]:>8,}  {state.replace('_', ' ')}")
    say(f"  spent {spent_in_words(summary.spent)}")
    if options.watch and going_on:
        return summary
    for task in wanting[:MOST_LISTED]:
        gone = "" if task.position is not None else "(no longer in the manifest) "
        say(f"  {task.state.replace('_', ' '):<11} {shortened(task.id, 40)}  {gone}{_why(task)}")
    if len(wanting) > MOST_LISTED:
        say(f"  … and {len(wanting) - MOST_LISTED:,} more; see {shown_path(directory / RESULTS_NAME)}")
    if not going_on:
        again = run_command(directory, options.manifest, binding.gateway == SIMULATOR)
        for line in what_next(directory, summary, wanting, f"{again}   to resume"):
            say(line)
    return summary


def _while(going_on: bool) -> dict[str, object]:
    """The JSON values that differ while a run is in progress: the exit code is 0 until it ends."""
    return {"running": True, "exit_code": 0} if going_on else {"running": False}


def _why(task: TaskRecord) -> str:
    return shortened(" ".join(filter(None, (task.error_code, task.error_message))), 100)


async def _story(ledger: LedgerReader, options: argparse.Namespace) -> int:
    found = await ledger.find(options.task)
    if not found:
        raise UsageError(
            f"no such task: {options.task}", "use an ID, or the start of a fingerprint or remote ID"
        )
    stories: list[dict[str, object]] = []
    for task in found:
        events, attempts = await ledger.events(task.key), await ledger.attempts(task.key)
        if options.json:
            stories.append(
                {**task._asdict(), "events": [asdict(e) for e in events], "all_attempts": attempts}
            )
            continue
        say(f"{printable(task.id)}: {task.state.replace('_', ' ')}  {_why(task)}".rstrip())
        say(f"  from {printable(task.source)}; fingerprint {task.key}")
        say(f"  prompt  {shortened(str(task.request.get('prompt', '')), 100)}")
        say(f"  file    {printable(task.file_name)}" + ("" if task.state is TaskState.DONE else " (not yet)"))
        for warning in task.warnings:
            say(f"  warning {printable(warning)}")
        for attempt in attempts:
            say(
                f"  attempt {attempt['number']}: {attempt['outcome'] or 'no outcome yet'}, "
                f"seed {attempt['seed']}, remote ID {printable(attempt['remote_id'] or '—')}, "
                f"request ID {printable(attempt['request_id'] or '—')}, tokens {attempt['tokens'] or '—'}"
            )
        for event in events:
            when = datetime.fromtimestamp(event.at).strftime("%Y-%m-%d %H:%M:%S")
            why = shortened(" ".join(filter(None, (event.code, event.message))), 100)
            say(f"  {when}  {event.event:<17} {event.from_state} → {event.to_state}  {why}".rstrip())
    if options.json:
        say_json(redacted_values(stories[0] if len(stories) == 1 else stories))
    return 0
