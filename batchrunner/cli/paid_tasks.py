"""A mistake must not keep what is paid for from being brought in: its links live for a day only.

`run` says what is wrong, then polls and collects what the ledger holds, submits nothing, and ends with 2.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.connection import of_run
from batchrunner.cli.console import error_values, say_json, show_error, talk
from batchrunner.cli.loading import is_short
from batchrunner.cli.run_directory import run_directory
from batchrunner.core.errors import BatchrunnerError, ExitCode, StorageError, UsageError
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.cli.connection import Connection

Values = dict[str, object]
CarryOut = Callable[["Connection", Path], tuple[int, Values]]
"""Collects in a run directory; returns the exit code, and the summary for `--json`."""


def collect_despite(mistake: UsageError, options: argparse.Namespace, carry_out: CarryOut) -> int:
    """Say what is wrong, collect what is paid for, and return the exit code.

    That is 2, unless a signal (130, 143) or the disk (5) ended the collecting.

    Raises:
        UsageError: the mistake itself, where nothing waits to be collected.
    """
    directory = _run_directory(options)
    waiting = _waiting(directory) if directory else 0
    if not directory or not waiting:
        raise mistake
    show_error(mistake, as_json=False, short=is_short(options))
    if not options.quiet:
        talk(f"{count(waiting, 'paid task')} waiting in {directory}: collecting, submitting nothing")
    code, values = _collected(directory, options, carry_out)
    if options.json:
        say_json(error_values(mistake) | {"exit_code": code, "waiting": waiting} | values)
    return code


def _collected(directory: Path, options: argparse.Namespace, carry_out: CarryOut) -> tuple[int, Values]:
    """The exit code, and for `--json` the summary, or why there is none."""
    try:
        _refuse_other_gateway(directory, options)
        with of_run(options, directory, options.scenario) as connection:
            code, summary = carry_out(connection, directory)
        return code, {"collected": summary}
    except BatchrunnerError as error:
        show_error(error, as_json=False)
        code = ExitCode.STORAGE if isinstance(error, StorageError) else ExitCode.USAGE
        return int(code), {"collected": None, "not_collected": error_values(error)}


def _run_directory(options: argparse.Namespace) -> Path | None:
    """Where the run keeps its things; None where there is no run, or the manifest's path names no place."""
    from batchrunner.ledger import LEDGER_NAME  # noqa: PLC0415

    try:
        directory = run_directory(options)
        return directory if (directory / LEDGER_NAME).is_file() else None
    except (BatchrunnerError, ValueError, OSError):
        return None


def _waiting(directory: Path) -> int:
    """How many tasks are, or may be, paid for and can still be brought in; 0 where the ledger is unusable."""
    try:
        return asyncio.run(_count(directory))
    except BatchrunnerError:
        return 0


async def _count(directory: Path) -> int:
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(directory) as ledger:
        # What was being submitted when a run was killed may be charged: it is looked up, as `collect` does.
        counts = await ledger.counts(planned_only=False)
        uncollected = await ledger.tasks(TaskState.UNCOLLECTED)
    waiting = sum(counts[state] for state in PAID_FOR) + counts[TaskState.SUBMITTING]
    return waiting + sum(not task.links_dead for task in uncollected)


def _refuse_other_gateway(directory: Path, options: argparse.Namespace) -> None:
    """A run that is simulated and one that is not are never taken for each other."""
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async def gateway() -> str:
        async with LedgerReader.open_existing(directory) as ledger:
            return (await ledger.binding()).gateway

    bound = asyncio.run(gateway())
    if (bound == SIMULATOR) != options.simulate:
        raise UsageError(
            f"{directory} belongs to the gateway {bound}", "nothing was collected; run it as before"
        )
