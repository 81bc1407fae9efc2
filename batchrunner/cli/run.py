"""`batchrunner run` and `batchrunner collect`."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli import arguments as shared
from batchrunner.cli.confirmation import NotConfirmed
from batchrunner.cli.connection import Connection, of_run
from batchrunner.cli.console import error_values, say, say_json, show_error, shown_path, talk
from batchrunner.cli.listeners import Listeners, add_listeners, attended, attended_several
from batchrunner.cli.loading import add_manifest
from batchrunner.cli.nights import to_collect
from batchrunner.cli.paid_tasks import collect_despite
from batchrunner.cli.process import run_async, share_memory_pool
from batchrunner.cli.run_directory import add_place, existing_run
from batchrunner.cli.run_job import collecting, run_or_collect
from batchrunner.core.errors import BatchrunnerError, ExitCode, UsageError, most_urgent
from batchrunner.core.file_names import DATE
from batchrunner.core.text import plain_number
from batchrunner.output.terminal import outlive_terminal

if TYPE_CHECKING:
    from batchrunner.cli.run_directory import Whereabouts
    from batchrunner.engine.job import Job
    from batchrunner.output.summary import Summary

FIRST_OF_SIGNALS = 128
"""An exit code above this one means that a signal stopped the run."""
MOST_MONEY = 1e9
"""The largest amount for `--max-cost`."""


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `run`."""
    add_manifest(parser, several=True)
    add_place(parser)
    parser.add_argument("--simulate", action="store_true", help="use a simulated gateway: no key, no cost")
    parser.add_argument("--scenario", metavar="FILE", type=Path, help="scenario for the simulated gateway")
    shared.add_selection(parser)
    parser.add_argument(
        "--max-cost",
        metavar="AMOUNT",
        type=_money,
        help="spend at most this in this run, in the currency of the prices (without `pricing`: USD)",
    )
    shared.add_videos(parser)
    parser.add_argument(
        "-y", "--yes", action="store_true", help="confirm what `run.confirm_above` would ask about"
    )
    _add_talk(parser)
    add_listeners(parser)
    parser.set_defaults(run=run)


def add_collect(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `collect`."""
    parser.add_argument(
        "directories", metavar="DIR", type=Path, nargs="+", help="run directory, or its manifest"
    )
    parser.add_argument(
        "--missing", action="store_true", help="also download finished videos that were moved or deleted"
    )
    _add_talk(parser)
    parser.set_defaults(run=collect)


def _add_talk(parser: argparse.ArgumentParser) -> None:
    shared.add_collect_on(parser)
    parser.add_argument(
        "-q",
        "--quiet",
        action="store_true",
        help="print only errors, and the summary if the exit code is not 0",
    )
    shared.add_json(parser)
    shared.add_gateway(parser)


def _money(text: str) -> float:
    amount = plain_number(text)
    if amount is None or not 0 < amount <= MOST_MONEY:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid amount: use a number above 0, such as 50")
    return amount


def run(options: argparse.Namespace) -> int:
    """Run a manifest to completion, or resume it; then tell others."""
    outlive_terminal()
    share_memory_pool()
    if len(options.manifests) > 1 or options.manifests[0].is_dir():
        from batchrunner.cli.run_several import manifests_in, run_several  # noqa: PLC0415

        if (manifests := manifests_in(options.manifests, options.accounts)) != options.manifests[:1]:
            return attended_several(options, partial(run_several, options, manifests))
    (options.manifest,) = options.manifests
    return attended(options, partial(_run, options))


def _run(options: argparse.Namespace, listeners: Listeners) -> tuple[int, dict[str, object]]:
    def carry_out(job: Job, where: Whereabouts) -> tuple[int, dict[str, object]]:
        code, values = _carry_out(job, options)
        return code, values | where.as_values()

    only_collect = partial(_only_collect, options)
    return run_or_collect(options, carry_out, only_collect, listeners.learn, listeners.events)


def _only_collect(options: argparse.Namespace, mistake: UsageError) -> tuple[int, dict[str, object]]:
    """Report why nothing is submitted, and collect what is paid for all the same."""

    def carry_out(gateway: Connection, directory: Path) -> tuple[int, dict[str, object]]:
        again = next_command(options, mistake)
        return _carry_out(collecting(gateway, directory, options), options, mistaken=again)

    return collect_despite(mistake, options, carry_out)


def next_command(options: argparse.Namespace, mistake: UsageError) -> str:
    """The command to type once the mistake is corrected."""
    from batchrunner.cli.run_summary import same_command  # noqa: PLC0415

    if isinstance(mistake, NotConfirmed):
        return f"{same_command(options, '--yes')}   to confirm: nothing was submitted"
    return f"{same_command(options)}   once the error is fixed: nothing was submitted"


def collect(options: argparse.Namespace) -> int:
    """Collect paid tasks in each run directory; return the most urgent exit code."""
    outlive_terminal()
    share_memory_pool()
    codes, values = [], []
    several = len(options.directories) > 1 or DATE in str(options.directories[0])
    for directory in _each(options.directories):
        try:
            if several and not options.quiet:
                talk(f"{shown_path(directory)}:")
            code, value = _collect_one(directory, options)
        except BatchrunnerError as error:
            show_error(error, as_json=False)
            code, value = int(error.exit_code), {"directory": str(directory)} | error_values(error)
        codes.append(code)
        values.append(value)
        if code > FIRST_OF_SIGNALS:
            break  # the user wants to stop, not only to leave this directory
    if options.json:
        say_json(values if several else values[0])
    return most_urgent(codes)


def _each(named: Iterable[Path]) -> Iterator[Path]:
    """The directories to collect in; a pattern with a date stands for all that have something to collect."""
    for path in named:
        if DATE not in str(path):
            yield path
            continue
        try:
            yield from to_collect(path)
        except UsageError:
            yield path  # reported with the others


def _collect_one(named: Path, options: argparse.Namespace) -> tuple[int, dict[str, object]]:
    directory = existing_run(named)
    with of_run(options, directory) as gateway:
        job = collecting(gateway, directory, options)
        job = replace(job, recollect_all=True, fetch_missing=options.missing)
        return _carry_out(job, options, manifest=named)


def _carry_out(
    job: Job, options: argparse.Namespace, mistaken: str = "", manifest: Path | None = None
) -> tuple[int, dict[str, object]]:
    """Run the job and show the summary; the arguments and the result are those of `conclude`."""
    from batchrunner.engine.session import run as run_job  # noqa: PLC0415

    began = time.monotonic()
    summary = run_async(run_job(job))
    return conclude(job, options, summary, time.monotonic() - began, mistaken, manifest)


def conclude(
    job: Job,
    options: argparse.Namespace,
    summary: Summary,
    seconds: float,
    mistaken: str = "",
    manifest: Path | None = None,
    heading: str = "",
) -> tuple[int, dict[str, object]]:
    """Show the summary of a job; return the exit code and the summary as JSON values.

    `mistaken` means that the user's input is wrong and nothing is submitted: it is the next command.
    `manifest` is the argument that `collect` was given. The summary stands below `heading`, if any.
    """
    from batchrunner.cli.run_summary import (  # noqa: PLC0415  needs the ledger
        after_collecting,
        as_values,
        resuming_command,
        show_summary,
        wanting_attention,
    )

    summary = replace(summary, mistaken=bool(mistaken))
    wanting = run_async(wanting_attention(job.directory))
    is_well = summary.exit_code == ExitCode.DONE
    if not (options.json or (options.quiet and is_well)):
        again = mistaken or f"{resuming_command(options)}   to resume"
        if not job.submits and not mistaken:
            again = after_collecting(options, job.directory, manifest, job.gateway_name, summary)
        if heading:
            say(heading)
        show_summary(job.directory, summary, seconds, wanting, again)
    return summary.exit_code, as_values(job.directory, summary, seconds, wanting)
