"""`batchrunner recover`: the ledger is lost or an older one; what was paid for comes back, free of charge."""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.cli import arguments as shared
from batchrunner.cli.connection import Connection, real, simulated
from batchrunner.cli.console import say_json
from batchrunner.cli.loading import add_manifest, load
from batchrunner.cli.run_directory import add_directory, has_ledger, run_directory
from batchrunner.cli.run_summary import AGAIN, as_values, run_command, show_summary, wanting_attention
from batchrunner.core.errors import UsageError
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.states import TaskState
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.manifest import LoadedManifest


def add_recover(commands: Any) -> None:
    """What a lost or older ledger does not know."""
    parser = commands.add_parser(
        "recover",
        help="bring back what is paid for when the ledger is lost or old; never submits",
        description="Make the ledger of a run directory again, or bring an older one up to date: look "
        "through the gateway's usage log, run.log and results.csv for attempts that the ledger does not "
        "know, enter them, and poll and download them. It is free of charge, and overwrites no video.",
    )
    add_manifest(parser, checks=False)
    add_directory(parser)
    parser.add_argument("--simulate", action="store_true", help="the run directory of a simulated run")
    parser.add_argument("-q", "--quiet", action="store_true", help="show only the summary")
    shared.add_json(parser)
    shared.add_gateway(parser)
    parser.set_defaults(run=recover)


def recover(options: argparse.Namespace) -> int:
    """Find what is paid for, and bring it in."""
    from batchrunner.engine.evidence import anything_left  # noqa: PLC0415

    loaded = load(options)
    directory = run_directory(options)
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is not a folder", "name the run directory of an earlier `batchrunner run`"
        )
    if not has_ledger(directory) and not anything_left(directory):
        raise UsageError(
            f"nothing in {directory} says which tasks of the gateway are this run's: the ledger is gone, and "
            "run.log, results.csv and videos/.run-id name neither the run nor a task",
            "bring one of these files back from a backup; the gateway's own pages list what was paid for",
        )
    _refuse_other_gateway(directory, options.simulate)
    timeout = loaded.plan.settings.submit_timeout
    connecting: AbstractContextManager[Connection]
    if options.simulate:
        connecting = simulated(options, directory, timeout, recovers=True)
    else:
        connecting = nullcontext(real(options, loaded.plan.base_url, timeout))
        shared.api_key(options)
    with connecting as connection:
        return _carry_out(options, loaded, directory, connection)


def _refuse_other_gateway(directory: Path, simulate: bool) -> None:
    """A simulated run is never taken for a real one, also where no ledger is left that says which it was.

    The simulator keeps its state in the run directory, from before the first submission.
    """
    from batchrunner.engine.preparation import has_no_ledger  # noqa: PLC0415

    was_simulated = (directory / SIMULATOR).is_dir()
    if not has_no_ledger(directory) or was_simulated is simulate:
        return  # a ledger says for itself what it belongs to
    why = "holds a simulator's state" if was_simulated else "holds no simulator's state"
    whose, other = ("the gateway simulator", "a real one") if was_simulated else ("a real gateway", SIMULATOR)
    raise UsageError(
        f"this run directory {why}, so it belongs to {whose}, not to {other}",
        f"simulated and real runs have run directories of their own: "
        f"{'add --simulate' if was_simulated else 'leave --simulate out'}, or name the other one with -o",
    )


def _carry_out(
    options: argparse.Namespace, loaded: LoadedManifest, directory: Path, connection: Connection
) -> int:
    from batchrunner.engine.session import run  # noqa: PLC0415

    base = connection.job(options, directory, loaded.limits)
    job = replace(base, plan=loaded.plan, recovers=True, recollect_all=True)
    began = time.monotonic()
    summary = asyncio.run(run(job))
    seconds = time.monotonic() - began
    wanting = asyncio.run(wanting_attention(directory))
    if options.json:
        say_json(as_values(directory, summary, seconds, wanting))
    else:
        show_summary(directory, summary, seconds, wanting, _again(options, directory, summary.counts))
    return summary.exit_code


def _again(options: argparse.Namespace, directory: Path, counts: Any) -> str:
    """What to type now for the tasks that were not found, and for those that still generate."""
    if not counts[TaskState.PENDING]:
        return AGAIN
    command = run_command(directory, options.manifest, options.simulate)
    return (
        f"{count(counts[TaskState.PENDING], 'task')} not found, so never paid for as far as anything shows;\n"
        f"         {command}   submits, and pays for, these"
    )
