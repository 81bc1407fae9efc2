"""Runs a job from lock to summary: checks the ledger's owner, reconciles the plan, runs the flow."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from batchrunner.clock import Clock
from batchrunner.core.budget import WorstCase
from batchrunner.core.estimate import worst_case
from batchrunner.core.model import Plan, Request, TaskKey
from batchrunner.core.selection import select
from batchrunner.core.submission.hours import Hours
from batchrunner.core.summary import still_matters
from batchrunner.core.text import count
from batchrunner.engine.agreement import within_agreement
from batchrunner.engine.chains import blocked_among
from batchrunner.engine.evidence import Evidence, mark_log
from batchrunner.engine.flow import Flow
from batchrunner.engine.job import Job
from batchrunner.engine.live_limits import limits_of_one_run
from batchrunner.engine.preparation import (
    bring_up_to_date,
    choose_folder,
    has_no_ledger,
    identify,
    make_directories,
    names_taken,
)
from batchrunner.engine.relocation import follow_gateway
from batchrunner.engine.reporter import Reporter
from batchrunner.engine.video_check import look_at_files
from batchrunner.engine.video_place import open_place
from batchrunner.engine.wiring import Wiring
from batchrunner.ledger import Ledger, LedgerReader, RunLock, note_begun, note_stop
from batchrunner.ledger.aggregates import blocked_tasks
from batchrunner.ledger.history import named_accounts
from batchrunner.manifest import hours_of
from batchrunner.operations.plan_changes import recognise
from batchrunner.output.progress import Display
from batchrunner.output.results_file import Results
from batchrunner.output.run_log import RunLog
from batchrunner.output.summary import Summary

MANY = 20_000
"""Tasks that take more than a second to enter into a ledger."""


async def run(job: Job) -> Summary:
    """Run a job as far as possible, and return its summary.

    Raises:
        BatchrunnerError: the run could not begin; nothing was submitted.
    """
    make_directories(job.directory, job.recovers)
    with RunLock(job.directory), limits_of_one_run(job.directory), RunLog(job.directory, job.events) as log:
        is_new = has_no_ledger(job.directory)
        async with Ledger.open(job.directory, worst_of=_worst_of(job)) as ledger:
            place = await choose_folder(ledger, job.directory, job.videos, job.recovers)
            # Read before anything is written: after that, the ledger no longer looks older than the files.
            evidence = await identify(ledger, job.directory, is_new, job.recovers) if job.plan else None
            log.began(await ledger.run_id())
            ledger.observe(log.event)
            remarks = await _bound(job, ledger)
            if job.plan:
                _announce(job.plan, job.display)
                await recognise(job.plan.tasks, ledger)
            url, sleep = await ledger.bind_videos(place), Clock(job.time_scale).sleep
            videos, bucket = await open_place(ledger, url, job.directory, sleep)
            names_again, names = is_new and job.recovers, bucket.seen if bucket else ()
            gone = await bring_up_to_date(
                ledger, job.directory, job.plan, job.recollect_all, names_again, names
            )
            if job.plan:
                job = replace(job, plan=await within_agreement(ledger, job.plan, job.agreement))
            clock = job.together.clock if job.together else Clock(job.time_scale)
            await note_begun(ledger, time.time())
            if job.submits:
                await note_stop(ledger, None)  # if it is killed, the stop of the run before says nothing
            hours = hours_of(job.plan.settings, clock.wall()) if job.plan and job.submits else Hours()
            selected = select(job.plan.tasks, job.only, job.limit) if job.plan else None
            async with LedgerReader.open_existing(job.directory) as reader:
                reporter = _reporter(job, ledger, reader, log, selected, clock)
                for remark in remarks:
                    reporter.notice(remark)
                if gone:
                    tasks = f"{count(gone, 'task')} {'was' if gone == 1 else 'were'}"
                    or_need = ", or need one that was" if job.plan and job.plan.tasks.needs() else ""
                    reporter.notice(
                        f"{tasks} edited or removed from the manifest{or_need}; paid videos are kept"
                    )
                if news := await look_at_files(ledger, job.directory, job.fetch_missing, bucket):
                    reporter.notice(news)
                binding = await ledger.binding()
                flow = Flow(Wiring(job, binding, evidence, ledger, clock, reporter, selected, hours, videos))
                storage = await _to_the_end(flow, job, ledger, evidence)
                # Use the reader: after a failed write, the writer may not even answer.
                # With several prices, the estimates are those of the most expensive account.
                is_exact = all(account.price == 1.0 for account in job.accounts)
                spent, prices = await reader.spent(), await reader.prices_seen() if is_exact else []
                if job.submits and not storage:
                    await note_stop(ledger, flow.stop)
                counts = await reader.counts(selected)
                blocked = await _blocked(reader, job, selected)
                missing = await reader.missing_files() if job.fetch_missing else 0
                accounts = await reader.ask_history(named_accounts)
            summary = Summary(
                directory=job.directory,
                counts=counts,
                blocked=blocked,
                stop=still_matters(flow.stop, counts),
                signal=flow.signal,
                storage=storage,
                spent=spent,
                prices=tuple(prices),
                own_prices=frozenset(binding.pricing.per_million_tokens),
                accounts=accounts,
                idle=flow.idle,
                missing=missing,
                notices=tuple(remarks),
                videos_url=url,
            )
            why = f": {summary.stop.why}" if summary.stop else ""
            log.notice(f"ended with {summary.exit_code:d}{why}")
            return summary


async def _to_the_end(flow: Flow, job: Job, ledger: Ledger, evidence: Evidence | None) -> str:
    """Let the run end; return what could not be written, if anything."""
    storage = await flow.to_the_end()
    if job.plan and not storage:
        await mark_log(job.directory, ledger, evidence)
        if job.recovers:  # what was not found may have the name of a file of a task that was edited since
            await ledger.give_free_names(await names_taken(ledger, job.directory))
    return storage


def _announce(plan: Plan, display: Display) -> None:
    """Say what comes next if it takes seconds."""
    if len(plan.tasks) >= MANY:
        display.notice(f"comparing {count(len(plan.tasks), 'task')} with the ledger")


async def _blocked(reader: LedgerReader, job: Job, selected: frozenset[TaskKey] | None) -> Counter[str]:
    """Why tasks of this run can't go on."""
    if job.plan and selected is not None:
        return await blocked_among(reader, job.plan, selected)
    return await reader.ask_history(partial(blocked_tasks, among=selected))


def _worst_of(job: Job) -> Callable[[Request], WorstCase] | None:
    return partial(worst_case, limits=job.limits, pricing=job.plan.pricing) if job.plan else None


def _reporter(
    job: Job,
    ledger: Ledger,
    reader: LedgerReader,
    log: RunLog,
    selected: frozenset[TaskKey] | None,
    clock: Clock,
) -> Reporter:
    def notice(text: str) -> None:
        reporter.notice(text)

    results = Results(reader, ledger, job.directory, clock, notice)
    reporter = Reporter(ledger, reader, log, job.display, results, selected)
    return reporter


async def _bound(job: Job, ledger: Ledger) -> list[str]:
    """Bind the ledger to the job's gateway and manifest; return notices for the user.

    Raises:
        BatchrunnerError: the ledger belongs to another gateway or manifest, or this can't be verified.
    """
    remarks = list(job.remarks)
    if job.plan:
        await ledger.check_manifest(job.plan)  # needs no network, so it comes first
    await follow_gateway(ledger, job.address, Clock(job.time_scale), remarks.append)
    for default in (account.name for account in job.accounts if account.is_default):
        await ledger.name_account(default)
    if former := await ledger.bind(job.gateway_name, job.plan):
        remarks.append(
            f"this run directory was used by the manifest {former} and has paid for tasks of this one"
        )
    return remarks
