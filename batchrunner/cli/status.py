"""`batchrunner status`: shows a run's progress, or one task's history."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli import streams
from batchrunner.cli.console import json_text, say, shown_path
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import existing_run
from batchrunner.cli.task_story import tell_story, why
from batchrunner.core.file_names import RESULTS_NAME
from batchrunner.core.states import TaskState
from batchrunner.core.text import command, count, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from batchrunner.ledger import LedgerReader, TaskRecord
    from batchrunner.output.summary import Summary

MOST_LISTED, MOST_NAMED = 20, 5
LONGEST_ID = 40
"""Columns for an ID on a terminal."""
WATCH_INTERVAL = 2.0
"""Seconds between refreshes with `--watch`."""
HOME, REST_OF_LINE, REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


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

    directory, shown = options.directory, ""
    async with LedgerReader.open_existing(directory) as ledger:
        if options.task:
            return await tell_story(ledger, options.task, options.json)
        while True:
            going_on = is_locked(directory)
            summary, lines = await _seen(ledger, directory, options, going_on)
            text = "\n".join(lines)
            if options.watch and sys.stdout.isatty():
                # Over the last picture, line by line: clearing the screen first would flicker.
                say(HOME + text.replace("\n", f"{REST_OF_LINE}\n") + REST_OF_LINE + REST_OF_SCREEN)
            elif text != shown:
                say(text)
            shown = text
            if not (options.watch and going_on) or streams.stdout_reader_gone():
                return summary.exit_code if not going_on else 0
            await asyncio.sleep(WATCH_INTERVAL)


async def _seen(
    ledger: LedgerReader, directory: Path, options: argparse.Namespace, going_on: bool
) -> tuple[Summary, list[str]]:
    """The counts, and the lines to print."""
    from batchrunner.cli.run_now import RunNow  # noqa: PLC0415
    from batchrunner.cli.run_summary import (  # noqa: PLC0415
        as_values,
        by_account,
        cannot_go_on,
        run_command,
        spent_in_words,
        wanting_in,
        what_next,
    )
    from batchrunner.core.summary import still_matters  # noqa: PLC0415
    from batchrunner.ledger import last_stop  # noqa: PLC0415
    from batchrunner.ledger.aggregates import blocked_tasks  # noqa: PLC0415
    from batchrunner.ledger.history import named_accounts  # noqa: PLC0415
    from batchrunner.operations.shots import outdated  # noqa: PLC0415
    from batchrunner.output.summary import Summary  # noqa: PLC0415

    counts = await ledger.counts()
    stop = None if going_on else still_matters(await last_stop(ledger), counts)
    blocked = await ledger.ask_history(blocked_tasks)
    spent, accounts = await ledger.spent(), await ledger.ask_history(named_accounts)
    summary = Summary(directory, counts, blocked, stop, spent=spent, accounts=accounts)
    wanting, now = await wanting_in(ledger), await RunNow.of(ledger, counts, going_on)
    run_id = await ledger.run_id()
    if options.json:
        values = {"run_id": run_id} | as_values(directory, summary, 0.0, wanting)
        return summary, [json_text(values | now.as_values(summary.exit_code))]
    binding, older = await ledger.binding(), await outdated(ledger) if not going_on else []
    lines = [
        f"{printable(binding.name)}: {summary.counts[TaskState.DONE]:,} of "
        f"{count(sum(counts.values()), 'task')} done",
        *now.lines(binding.gateway),
        f"  run {run_id}",
    ]
    if stop:
        lines += [f"  the last run stopped: {printable(stop.why)}", f"    hint: {printable(stop.hint)}"]
    for state in TaskState:
        if counts[state]:
            lines.append(f"{counts[state]:>8,}  {state.replace('_', ' ')}")
        if state is TaskState.PENDING and blocked:
            lines.append(f"          {cannot_go_on(summary)}")
        if state is TaskState.DONE and older:
            lines += [f"          {line}" for line in _outdated(older, directory)]
    lines += by_account(summary)
    if not going_on:
        lines.append(f"  spent {spent_in_words(summary.spent)}")
    elif options.watch:
        return summary, lines
    lines += _wanting(wanting, directory)
    if not going_on:
        again = run_command(directory, options.manifest, binding.gateway)
        again += " --accounts FILE" if summary.accounts else ""
        lines += what_next(directory, summary, wanting, f"{again}   {_to_resume(summary)}")
    return summary, lines


def _to_resume(summary: Summary) -> str:
    """What the next run does; it submits all that is left, even if the last one had a limit."""
    left = summary.counts[TaskState.PENDING] - summary.blocked_tasks
    return f"to resume, and submit {count(left, 'pending task')}" if left > 0 else "to resume"


def _outdated(older: Sequence[str], directory: Path) -> list[str]:
    """That videos no longer fit those that they were made from, and how to make them again."""
    was, it_needs = ("was", "it needs") if len(older) == 1 else ("were", "they need")
    more = ", …" if len(older) > MOST_NAMED else ""
    named = ", ".join(shortened(one, LONGEST_ID) for one in older[:MOST_NAMED])
    ids = older if len(older) <= MOST_NAMED else ["ID…"]
    again = printable(command("retry", shown_path(directory), *ids, "--again", "--following"))
    return [
        f"{len(older):,} {was} made from an earlier version of what {it_needs}: {named}{more}",
        f"to make {'it' if len(older) == 1 else 'them'}, and what follows, again (pays again): {again}",
    ]


def _wanting(wanting: Sequence[TaskRecord], directory: Path) -> Iterator[str]:
    """The tasks that need attention; where the output is no terminal, no ID is cut."""
    is_terminal = sys.stdout.isatty()
    for task in wanting[:MOST_LISTED]:
        name = shortened(task.id, LONGEST_ID) if is_terminal else printable(task.id)
        gone = "" if task.position is not None else "(no longer in the manifest) "
        yield f"  {task.state.replace('_', ' '):<11} {name}  {gone}{why(task)}"
    if len(wanting) > MOST_LISTED:
        yield f"  … and {len(wanting) - MOST_LISTED:,} more; see {shown_path(directory / RESULTS_NAME)}"
