"""One run from its lock to its summary: whose the ledger is, what the plan changes in it, then the flow."""

from __future__ import annotations

from dataclasses import replace

from batchrunner.clock import Clock
from batchrunner.core.replicas import recognised
from batchrunner.core.summary import Summary
from batchrunner.core.text import count
from batchrunner.engine.flow import Flow
from batchrunner.engine.job import Job
from batchrunner.engine.live_limits import limits_of_one_run
from batchrunner.engine.preparation import (
    bring_up_to_date,
    has_no_ledger,
    identify,
    make_directories,
)
from batchrunner.engine.relocation import follow_gateway
from batchrunner.engine.video_check import look_at_files
from batchrunner.ledger import (
    Ledger,
    LedgerReader,
    RunLock,
)
from batchrunner.output.run_log import RunLog


async def run(job: Job) -> Summary:
    """Carry a run as far as it goes, and say how it stands.

    Raises:
        BatchrunnerError: it could not begin; nothing was sent.
    """
    make_directories(job.directory, job.recovers)
    with RunLock(job.directory), limits_of_one_run(job.directory), RunLog(job.directory) as log:
        is_new = has_no_ledger(job.directory)
        async with Ledger.open(job.directory) as ledger:
            # Heard before anything is written: afterwards the ledger is no longer older than they are.
            evidence = await identify(ledger, job.directory, is_new, job.recovers) if job.plan else None
            log.began(await ledger.run_id())
            ledger.observe(log.event)
            remarks = await _bound(job, ledger)
            job = await _recognised(job, ledger)
            names_again = is_new and job.recovers
            gone = await bring_up_to_date(ledger, job.directory, job.plan, job.recollect_all, names_again)
            async with LedgerReader.open_existing(job.directory) as reader:
                flow = Flow(job, ledger, reader, log, await ledger.binding(), evidence)
                for remark in remarks:
                    flow.notice(remark)
                if gone:
                    flow.notice(f"{count(gone, 'task')} left the manifest; what was paid for is kept")
                if news := await look_at_files(ledger, job.directory, job.fetch_missing):
                    flow.notice(news)
                storage = await flow.to_the_end()
                # Asked of the reader: after a failed write the writer may not even answer.
                spent = await reader.spent()
                counts = await reader.counts(flow.selected)
                missing = await reader.missing_files() if job.fetch_missing else 0
            summary = Summary(
                counts=counts,
                stop=flow.admission.stop if flow.admission else None,
                signal=flow.stop.signal,
                storage=storage,
                spent=spent,
                idle=flow.admission is None,
                missing=missing,
            )
            why = f": {summary.stop.why}" if summary.stop else ""
            log.notice(f"ended with {summary.exit_code:d}{why}")
            return summary


async def _bound(job: Job, ledger: Ledger) -> list[str]:
    """Tie the ledger to the job's gateway and manifest; return what a person is to know of it.

    Raises:
        BatchrunnerError: it belongs to others, or the gateway does not show whether it does.
    """
    remarks = list(job.remarks)
    if job.plan:
        await ledger.check_manifest(job.plan)  # which takes no network
    await follow_gateway(ledger, job.address, Clock(job.time_scale), remarks.append)
    if former := await ledger.bind(job.gateway_name, job.plan):
        remarks.append(
            f"this run directory was that of the manifest {former}, and has paid for tasks of this one"
        )
    return remarks


async def _recognised(job: Job, ledger: Ledger) -> Job:
    """The job, the replicas of its plan with the keys under which the ledger knows them."""
    if not job.plan:
        return job
    tasks = recognised(job.plan.tasks, await ledger.known())
    return replace(job, plan=replace(job.plan, tasks=tasks))
