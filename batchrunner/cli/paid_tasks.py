"""Collects paid tasks even if the manifest is broken: their links expire after a day.

`run` reports the mistake, polls and collects what is in the ledger, submits nothing, and exits with 2.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.connection import of_run
from batchrunner.cli.console import error_values, show_error, talk
from batchrunner.cli.loading import is_short, lists_each, wants_every
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import run_directory
from batchrunner.core.errors import BatchrunnerError, ExitCode, StorageError, UsageError
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.cli.connection import Connection

Values = dict[str, object]
CarryOut = Callable[["Connection", Path], tuple[int, Values]]
"""Collects in a run directory; returns the exit code and the summary for `--json`."""


def collect_despite(
    mistake: UsageError, options: argparse.Namespace, carry_out: CarryOut, silent: bool = False
) -> tuple[int, Values]:
    """Report the mistake, and collect paid tasks; return the exit code and the values for `--json`.

    With `silent`, nothing is printed.
    The exit code is 2, unless a signal (130, 143) or the disk (5) stopped collecting.

    Raises:
        UsageError: the mistake itself, if there is nothing to collect.
    """
    directory, waiting = _to_collect(mistake, options)
    if not silent:
        show_error(mistake, False, is_short(options), wants_every(options), lists_each(options))
    if not options.quiet:
        talk(f"collecting {count(waiting, 'paid task')} in {directory}; submitting nothing")
    code, values = _collected(directory, options, carry_out, silent)
    return code, mistake_values(mistake, code, waiting) | values


def to_collect(mistake: UsageError, options: argparse.Namespace) -> tuple[Path, int]:
    """The run directory, and how many paid tasks can be collected there in spite of the mistake.

    Raises:
        UsageError: the mistake itself, if there is nothing; or the directory belongs to another gateway.
    """
    directory, waiting = _to_collect(mistake, options)
    _refuse_other_gateway(directory, options)
    return directory, waiting


def _to_collect(mistake: UsageError, options: argparse.Namespace) -> tuple[Path, int]:
    directory = _run_directory(options)
    waiting = _waiting(directory) if directory else 0
    if not directory or not waiting:
        raise mistake
    return directory, waiting


def mistake_values(mistake: UsageError, code: int, waiting: int) -> Values:
    """As JSON values: the mistake, the exit code, and how many paid tasks there were to collect."""
    return error_values(mistake) | {"exit_code": code, "waiting": waiting}


def _collected(
    directory: Path, options: argparse.Namespace, carry_out: CarryOut, silent: bool
) -> tuple[int, Values]:
    """The exit code and, for `--json`, the summary or why there is none."""
    try:
        _refuse_other_gateway(directory, options)
        with of_run(options, directory, options.scenario) as connection:
            code, summary = carry_out(connection, directory)
        return code, {"collected": summary}
    except BatchrunnerError as error:
        if not silent:
            show_error(error, as_json=False)
        code = ExitCode.STORAGE if isinstance(error, StorageError) else ExitCode.USAGE
        return int(code), {"collected": None, "not_collected": error_values(error)}


def _run_directory(options: argparse.Namespace) -> Path | None:
    """The run directory; None if there is no run, or the manifest's path is unusable."""
    from batchrunner.ledger import LEDGER_NAME  # noqa: PLC0415

    try:
        directory = run_directory(options)
        return directory if (directory / LEDGER_NAME).is_file() else None
    except (BatchrunnerError, ValueError, OSError):
        return None


def _waiting(directory: Path) -> int:
    """How many tasks are, or may be, paid for and can still be collected; 0 if the ledger is unusable."""
    try:
        return run_async(_count(directory))
    except BatchrunnerError:
        with suppress(BatchrunnerError):  # an older version, maybe: a run would upgrade it
            run_async(_upgraded(directory))
            return run_async(_count(directory))
        return 0


async def _upgraded(directory: Path) -> None:
    from batchrunner.cli.retry import opened  # noqa: PLC0415

    async with opened(directory):
        pass


async def _count(directory: Path) -> int:
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async with LedgerReader.open_existing(directory) as ledger:
        # A submission interrupted by a kill may be charged: it is looked up, as `collect` does.
        counts = await ledger.counts(planned_only=False)
        uncollected = await ledger.tasks(TaskState.UNCOLLECTED)
    waiting = sum(counts[state] for state in PAID_FOR) + counts[TaskState.SUBMITTING]
    return waiting + sum(not task.links_dead for task in uncollected)


def _refuse_other_gateway(directory: Path, options: argparse.Namespace) -> None:
    """Refuse to mix a simulated run with a real one."""
    from batchrunner.ledger import LedgerReader  # noqa: PLC0415

    async def gateway() -> str:
        async with LedgerReader.open_existing(directory) as ledger:
            return (await ledger.binding()).gateway

    bound = run_async(gateway())
    if (bound == SIMULATOR) != options.simulate:
        raise UsageError(
            f"{directory} belongs to the gateway {bound}",
            "nothing was collected; use the same gateway options as before",
        )
