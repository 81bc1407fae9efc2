"""`batchrunner recover`: rebuilds a lost or outdated ledger and collects paid tasks, free of charge."""

from __future__ import annotations

import argparse
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchrunner.cli import arguments as shared
from batchrunner.cli.connection import Connection, real, simulated
from batchrunner.cli.console import say_json
from batchrunner.cli.loading import add_manifest, load
from batchrunner.cli.nights import choose_night
from batchrunner.cli.process import run_async, share_memory_pool
from batchrunner.cli.run_directory import add_directory, has_ledger, run_directory
from batchrunner.core.errors import UsageError
from batchrunner.core.identity import SIMULATOR
from batchrunner.core.states import TaskState
from batchrunner.core.text import count
from batchrunner.core.video_url import is_in_bucket
from batchrunner.output.terminal import outlive_terminal
from batchrunner.storage.library import check_library

if TYPE_CHECKING:
    from batchrunner.manifest import LoadedManifest


def add_recover(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `recover`."""
    parser.description = (
        "Rebuild the ledger of a run directory, or bring an outdated one up to date: search the "
        "gateway's usage log, run.log and results.csv for attempts missing from the ledger, add them, then "
        "poll and download them. Free of charge; no video is overwritten."
    )
    add_manifest(parser, checks=False)
    add_directory(parser)
    parser.add_argument("--simulate", action="store_true", help="use the run directory of a simulated run")
    shared.add_videos(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print only the summary")
    shared.add_json(parser)
    shared.add_gateway(parser)
    parser.set_defaults(run=recover)


def recover(options: argparse.Namespace) -> int:
    """Find paid tasks and collect them."""
    from batchrunner.engine.evidence import anything_left  # noqa: PLC0415

    outlive_terminal()
    share_memory_pool()
    loaded = load(options)
    choose_night(options, loaded.plan)
    if is_in_bucket(options.videos or loaded.plan.settings.videos):
        check_library()
    directory = run_directory(options)
    if not directory.is_dir():
        raise UsageError(
            f"{directory} is not a folder", "pass the run directory of an earlier `batchrunner run`"
        )
    if not has_ledger(directory) and not anything_left(directory):
        raise UsageError(
            f"can't tell which of the gateway's tasks belong to {directory}: the ledger is missing, and "
            "run.log, results.csv and videos/.run-id name neither the run nor a task",
            "restore one of these files from a backup; the gateway's web pages list what was paid for",
        )
    _refuse_other_gateway(directory, options.simulate)
    timeout = loaded.plan.settings.submit_timeout
    connecting: AbstractContextManager[Connection]
    if options.simulate:
        connecting = simulated(options, directory, timeout, recovers=True)
    else:
        connection = real(options, loaded.plan.base_url, timeout)
        connection.key()
        connecting = nullcontext(connection)
    with connecting as connection:
        return _carry_out(options, loaded, directory, connection)


def _refuse_other_gateway(directory: Path, simulate: bool) -> None:
    """Refuse to mix a simulated run with a real one, even if no ledger is left to show which it was.

    The simulator creates its state in the run directory before the first submission.
    """
    from batchrunner.engine.preparation import has_no_ledger  # noqa: PLC0415
    from batchrunner.ledger import simulator_state  # noqa: PLC0415

    was_simulated = simulator_state(directory).is_dir()
    if not has_no_ledger(directory) or was_simulated is simulate:
        return  # the ledger records its gateway
    why = "contains simulator state" if was_simulated else "contains no simulator state"
    whose, other = ("the gateway simulator", "a real one") if was_simulated else ("a real gateway", SIMULATOR)
    raise UsageError(
        f"this run directory {why}, so it belongs to {whose}, not to {other}",
        f"simulated and real runs use separate run directories: "
        f"{'add --simulate' if was_simulated else 'remove --simulate'}, or pass another one with -o",
    )


def _carry_out(
    options: argparse.Namespace, loaded: LoadedManifest, directory: Path, connection: Connection
) -> int:
    from batchrunner.cli.run_summary import as_values, show_summary, wanting_attention  # noqa: PLC0415
    from batchrunner.engine.session import run  # noqa: PLC0415

    base = connection.job(options, directory, loaded.limits)
    videos = options.videos or loaded.plan.settings.videos
    job = replace(base, plan=loaded.plan, recovers=True, recollect_all=True, videos=videos)
    began = time.monotonic()
    summary = run_async(run(job))
    seconds = time.monotonic() - began
    wanting = run_async(wanting_attention(directory))
    if options.json:
        say_json(as_values(directory, summary, seconds, wanting))
    else:
        show_summary(
            directory, summary, seconds, wanting, _again(options, directory, connection.name, summary.counts)
        )
    return summary.exit_code


def _again(options: argparse.Namespace, directory: Path, gateway: str, counts: Any) -> str:
    """The next command for tasks that were not found or are still generating."""
    from batchrunner.cli.run_summary import run_command, same_command  # noqa: PLC0415

    if not counts[TaskState.PENDING]:
        return f"{same_command(options)}   to resume"
    command = run_command(directory, options.manifest, gateway)
    return (
        f"{count(counts[TaskState.PENDING], 'task')} not found: nothing shows that they were paid for;\n"
        f"         {command}   to submit and pay for them"
    )
