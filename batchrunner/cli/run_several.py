"""`batchrunner run A.yaml B.yaml`: several manifests in one process share an account."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from batchrunner.cli.connection import of_run
from batchrunner.cli.console import error_values, show_error, shown_path, talk
from batchrunner.cli.crash import explained
from batchrunner.cli.listeners import Listeners, Values
from batchrunner.cli.loading import is_short, lists_each, load, wants_every
from batchrunner.cli.paid_tasks import mistake_values, to_collect
from batchrunner.cli.process import run_async
from batchrunner.cli.run_directory import run_directory
from batchrunner.cli.run_job import check_simulation, collecting, prepared, selected
from batchrunner.core.errors import BatchrunnerError, ExitCode, UsageError, most_urgent
from batchrunner.core.text import count

if TYPE_CHECKING:
    from batchrunner.cli.run_directory import Whereabouts
    from batchrunner.core.budget import Limit
    from batchrunner.core.model import RunSettings
    from batchrunner.engine.job import Job
    from batchrunner.engine.together import Together
    from batchrunner.output.summary import Summary

ENDINGS = (".yaml", ".yml")
"""Of the manifests that a folder stands for."""


@dataclass(slots=True)
class _Run:
    """One of the manifests, and what has become of it so far."""

    options: argparse.Namespace
    job: Job | None = None
    where: Whereabouts | None = None
    mistake: UsageError | None = None
    """Why nothing is submitted: what is paid for is collected."""
    waiting: int = 0
    """How many tasks are collected in spite of it."""
    error: BatchrunnerError | None = None
    """Why there is no summary."""

    @property
    def name(self) -> str:
        """What the user calls it."""
        return shown_path(self.options.manifest)


def manifests_in(named: Iterable[Path], accounts: Path | None) -> list[Path]:
    """The manifests that were named; a folder stands for all in it, by name, but for the accounts file.

    A folder without any stands for itself: it is refused as a manifest, and what was paid for is collected.
    """
    return [file for path in named for file in _inside(path, accounts) or [path]]


def _inside(path: Path, accounts: Path | None) -> list[Path]:
    if not path.is_dir():
        return []
    files = sorted(file for file in path.iterdir() if file.suffix in ENDINGS and file.is_file())
    return [file for file in files if not (accounts and accounts.exists() and file.samefile(accounts))]


def run_several(
    options: argparse.Namespace, manifests: Sequence[Path], listeners: Listeners
) -> tuple[int, list[Values]]:
    """Run all manifests to completion; return the most urgent exit code, and the values of each.

    Raises:
        UsageError: the options don't fit several manifests; nothing was sent.
    """
    check_simulation(options)
    if options.output is not None:
        raise UsageError(
            "-o is for a single manifest: each has its own run directory",
            "run a manifest that has used -o by itself, with the same -o: elsewhere, it is paid for again",
        )
    runs = [_Run(_options_for(path, options)) for path in manifests]
    with ExitStack() as open_until_end:
        limit = _prepare(runs, open_until_end, listeners)
        jobs = [run.job for run in runs if run.job]
        together = _together(jobs, limit)
        began = time.monotonic()
        ended = run_async(_run_all(jobs, together)) if jobs else []
        results = dict(zip((id(run) for run in runs if run.job), ended, strict=True))
    told = [_conclude(run, results.get(id(run)), time.monotonic() - began) for run in runs]
    return most_urgent(code for code, _ in told), [values for _, values in told]


def _options_for(path: Path, options: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(options), "manifest": path})


def _prepare(runs: Sequence[_Run], stack: ExitStack, listeners: Listeners) -> Limit | None:
    """Check every manifest, and make its job; return the limit of all together, if there is one."""
    limit: Limit | None = None
    places: dict[Path, _Run] = {}
    gateway: tuple[str, _Run] | None = None
    for run in runs:
        if not run.options.quiet:
            talk(f"{run.name}:")
        try:
            place = run_directory(run.options).absolute()
            if place in places:
                run.error = _same_place(run, places[place])
                _tell(run, run.error, named=True)
                continue
            places[place] = run
            chosen = selected(run.options, load(run.options))
            listeners.learn_of(run.options.manifest, chosen.planned)
            own = next((one for one in chosen.planned.budget.limits if one.source == "--max-cost"), None)
            if own and limit and own.currency != limit.currency:
                raise UsageError(
                    f"--max-cost is one amount, but prices here are in {own.currency}, and elsewhere in "
                    f"{limit.currency}",
                    "run manifests with other prices by a command of their own",
                )
            limit = limit or own
            job, run.where = stack.enter_context(prepared(run.options, chosen, None))
            if gateway and job.gateway_name != gateway[0]:
                raise UsageError(
                    f"it uses {job.gateway_name}, and {gateway[1].name} uses {gateway[0]}",
                    "run manifests for another gateway by a command of their own",
                )
            gateway = gateway or (job.gateway_name, run)
            run.job = _for_several(job, run, listeners)
        except UsageError as mistake:
            _collect_despite(run, mistake, stack, listeners)
        except BatchrunnerError as error:
            run.error = error
            _tell(run, error, named=True)
    return limit


def _same_place(run: _Run, other: _Run) -> UsageError:
    place = shown_path(run_directory(run.options))
    return UsageError(
        f"{run.name} has the run directory of {other.name}: {place}",
        "name each manifest once, and give manifests names that differ in more than the ending",
    )


def _collect_despite(run: _Run, mistake: UsageError, stack: ExitStack, listeners: Listeners) -> None:
    """Report the mistake, and prepare to collect what is paid for."""
    options = run.options
    _tell(run, mistake, named=True)
    run.mistake = mistake
    try:
        directory, run.waiting = to_collect(mistake, options)
        gateway = stack.enter_context(of_run(options, directory, options.scenario))
        run.job = _for_several(collecting(gateway, directory, options), run, listeners)
        if not options.quiet:
            talk(f"collecting {count(run.waiting, 'paid task')}; submitting nothing")
    except BatchrunnerError as error:
        run.error = error
        if error is not mistake:
            _tell(run, error, named=True)


def _tell(run: _Run, error: BatchrunnerError, named: bool = False) -> None:
    """Show an error, below the name of its manifest if that was not `named` just before."""
    options = run.options
    if options.quiet or not named:
        talk(f"{run.name}:")
    show_error(error, False, is_short(options), wants_every(options), lists_each(options))


def _for_several(job: Job, run: _Run, listeners: Listeners) -> Job:
    """The job with a display and events that say which run they are about."""
    from batchrunner.output.event_stream import RunEvents  # noqa: PLC0415
    from batchrunner.output.progress import Lines, Silent  # noqa: PLC0415

    events = RunEvents(listeners.events, job.directory) if listeners.events else None
    display = Silent() if run.options.quiet else Lines(run.options.manifest.name)
    return replace(job, display=display, events=events)


def _together(jobs: Sequence[Job], limit: Limit | None) -> Together:
    from batchrunner.clock import Clock, Pace  # noqa: PLC0415
    from batchrunner.core.poll_schedule import most_polls_per_second  # noqa: PLC0415
    from batchrunner.engine.shared_budget import SharedBudget  # noqa: PLC0415
    from batchrunner.engine.together import Together  # noqa: PLC0415

    settings: list[RunSettings] = [job.plan.settings for job in jobs if job.plan]
    slots = max((one.concurrency or one.max_concurrency for one in settings), default=1)
    clock = Clock(jobs[0].time_scale if jobs else 1.0)
    budget = SharedBudget(limit) if limit else None
    return Together(clock, Pace(clock, most_polls_per_second(slots)), budget)


async def _run_all(jobs: Sequence[Job], together: Together) -> list[Summary | BaseException]:
    from batchrunner.engine.several import run_all  # noqa: PLC0415
    from batchrunner.engine.shared_account import SharedAccount  # noqa: PLC0415

    # Paid tasks of a mistaken manifest may belong to another gateway, which says nothing about this one.
    ours = {job.gateway_name for job in jobs if job.plan}
    apart = replace(together, accounts=defaultdict(SharedAccount))
    given = [replace(job, together=together if job.gateway_name in ours else apart) for job in jobs]
    return await run_all(given, together)


def _conclude(run: _Run, ended: Summary | BaseException | None, seconds: float) -> tuple[int, Values]:
    """Show the summary of one run, or why there is none; return its exit code and its values."""
    from batchrunner.cli.run import conclude, next_command  # noqa: PLC0415  it imports this module

    if isinstance(ended, BaseException):
        if not isinstance(ended, Exception):
            raise ended
        run.error = explained(ended)
        _tell(run, run.error)
    manifest: Values = {"manifest": str(run.options.manifest)}
    if ended is None or isinstance(ended, BaseException):
        assert run.error  # noqa: S101  without a summary, there is an error
        problem = run.mistake or run.error
        failed = int(run.error.exit_code if run.mistake is None else ExitCode.USAGE)
        return failed, manifest | error_values(problem) | {"exit_code": failed}
    assert run.job  # noqa: S101  that of the summary
    again = next_command(run.options, run.mistake) if run.mistake else ""
    code, values = conclude(run.job, run.options, ended, seconds, again, heading=f"{run.name}:")
    if run.mistake:
        return code, manifest | mistake_values(run.mistake, code, run.waiting) | {"collected": values}
    return code, manifest | values | (run.where.as_values() if run.where else {})
