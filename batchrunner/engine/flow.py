"""One run, from an up-to-date ledger to the summary: what is paid for first, then what is wanted.

prepare ─▶ preflight ─▶ take up (poll, collect) ─▶ submit while admission lets ─▶ drain ─▶ results.csv
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from batchrunner.clock import Clock
from batchrunner.core.doubts.adoption import Unowned
from batchrunner.core.errors import AccountError, StorageError
from batchrunner.core.model import TaskKey
from batchrunner.core.redaction import redacted
from batchrunner.core.selection import select
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.summary import Tally
from batchrunner.core.text import count
from batchrunner.engine.admission import Admission
from batchrunner.engine.adopter import Adopter, LogLook
from batchrunner.engine.doubts import Doubts
from batchrunner.engine.evidence import Evidence
from batchrunner.engine.job import Job
from batchrunner.engine.live_limits import LiveLimits
from batchrunner.engine.preparation import (
    check_videos_writable,
)
from batchrunner.engine.shutdown import StopRequest, handle_signals, supervise
from batchrunner.engine.startup import ask_first, collect_known, put_pending, take_up
from batchrunner.engine.task_group import RunTaskGroup
from batchrunner.engine.wiring import Wiring
from batchrunner.engine.worker import Worker
from batchrunner.gateway import ApiKey, Gateway
from batchrunner.ledger import (
    WAITING_FOR,
    Binding,
    Ledger,
    LedgerEvent,
    LedgerReader,
    TaskRecord,
)
from batchrunner.ledger.history import LOOKED_AT
from batchrunner.output.results import Results
from batchrunner.output.run_log import RunLog

TICK = 0.5
"""Real seconds between two looks of the display at the clock."""


class Flow:
    """The parts of one run, wired together."""

    def __init__(
        self,
        job: Job,
        ledger: Ledger,
        reader: LedgerReader,
        log: RunLog,
        binding: Binding,
        evidence: Evidence | None = None,
    ) -> None:
        self._job, self._ledger, self._log, self._binding = job, ledger, log, binding
        self._evidence = evidence
        self._clock = Clock(job.time_scale)
        self._results = Results(reader, ledger, job.directory, self._clock, self.notice)
        self._wanted, self._everything = Tally({}), Tally({})
        self.selected = select(job.plan.tasks, job.only, job.limit) if job.plan else None
        self.stop = StopRequest()
        self.admission: Admission | None = None
        """None until there is something to do."""

    async def to_the_end(self) -> str:
        """Do what there is to do; where all is done that takes neither key nor network.

        Returns what could not be written to disk, empty where everything could.
        """
        self._wanted = Tally(await self._ledger.counts(self.selected))
        self._everything = Tally(await self._ledger.counts(planned_only=False))
        self._ledger.observe(self._noted)
        try:
            if key := self._key():
                check_videos_writable(self._job.directory)
                async with Gateway.open(self._job.gateway, key) as gateway:
                    await self._supervised(gateway)
        except StorageError as error:
            with suppress(StorageError):  # one word about the disk is enough
                await self._results.write()
            return f"{error}: {error.hint}"
        try:
            await self._results.write()
        except StorageError as error:
            return f"{error}: {error.hint}"
        return ""

    def _key(self) -> ApiKey | None:
        """The key, where there is something to do with it; a doubt alone is looked up only if there is one.

        Raises:
            AccountError: there is none, and it is needed.
        """
        wanted = self._wanted[TaskState.PENDING] if self._job.plan else 0
        if wanted or any(self._everything[state] for state in PAID_FOR):
            return self._job.key()
        with suppress(AccountError):
            return self._job.key() if self._everything[TaskState.IN_DOUBT] else None
        return None

    async def _supervised(self, gateway: Gateway) -> None:
        parts = Wiring(
            self._job, self._binding, self._ledger, self._clock, gateway, self._everything, self.selected
        )
        adopter = Adopter(self._ledger, gateway, self._clock)
        self._ledger.observe(adopter.observe)
        self.admission = admission = parts.admission(adopter)
        self._job.display.start(self._wanted, admission, self._clock)
        self.notice(self._beginning())
        try:
            with handle_signals(self.stop, self._job.display.close):
                work = self._work(parts, admission, adopter)
                await supervise(work, admission, self.stop, self.notice)
        finally:
            self._job.display.close()

    async def _work(self, parts: Wiring, admission: Admission, adopter: Adopter) -> None:
        await self._ledger.set_meta(WAITING_FOR, "asking the gateway first whether it knows the key")
        answered = await ask_first(parts.gateway, admission, self._clock, parts.models, self.notice)
        await self._ledger.set_meta(WAITING_FOR, "")
        async with asyncio.TaskGroup() as tasks:
            group = RunTaskGroup(tasks, self.stop.by_error)
            if answered:
                await group.guarded(self._flow, parts, admission, adopter, group)
            else:
                await group.guarded(self._by_links, parts, group)

    async def _by_links(self, parts: Wiring, group: RunTaskGroup) -> None:
        """The gateway or its key is refused: links need neither, and live for a day only."""
        collector = parts.collector(links_only=True)
        await collect_known(self._ledger, lambda key: group.collect(collector.collect, key), links_only=True)
        await group.collected()

    async def _flow(self, parts: Wiring, admission: Admission, adopter: Adopter, group: RunTaskGroup) -> None:
        """What is paid for first, then what is wanted, until nothing is left to wait for."""
        group.chore(self._results.keep_fresh)
        group.chore(self._tick)
        collector = parts.collector()

        def collect(key: TaskKey) -> None:
            group.collect(collector.collect, key)

        def follow(record: TaskRecord) -> None:
            admission.occupy()
            group.work(worker.resume, record, lambda: None)

        recovery = parts.recovery(self._evidence, admission, follow, self.notice)
        worker = parts.worker(admission, collect, self.notice, recovery.is_paid)
        limits = LiveLimits(self._job.directory, self._binding.settings, admission, collector, self.notice)
        group.chore(limits.keep_watching)
        group.chore(self._look_doubts_up, parts, adopter, admission, worker, group)
        await take_up(self._ledger, worker, admission, group, collect, self._clock)
        if self._job.recovers or (self._job.submits and self._wanted[TaskState.PENDING]):
            await recovery.look()
        if self._job.submits:
            if self._wanted[TaskState.PENDING]:
                await self._begin_by_the_gateways_clock(adopter)
            await put_pending(self._ledger, admission, self._clock, self.selected)
        while permit := await admission.next():
            group.work(worker.submit, permit)
        await admission.drained()
        await group.collected()
        # What is left is over its deadline and polled without a slot: the next run takes it up.
        group.dismiss()

    async def _begin_by_the_gateways_clock(self, adopter: Adopter) -> None:
        """Read the used quota; a new ledger knows all since then, by a clock that nobody sets here."""
        reading = await adopter.begin()
        if reading and self._evidence is None:
            await self._ledger.set_meta(LOOKED_AT, repr(reading.at))

    async def _look_doubts_up(
        self, parts: Wiring, adopter: Adopter, admission: Admission, worker: Worker, group: RunTaskGroup
    ) -> None:
        """Follow what is found; what is not is submitted again if the manifest says so."""

        def follow(task: TaskRecord) -> None:
            admission.occupy()
            group.work(worker.resume, task, lambda: None)

        async def again(keys: frozenset[TaskKey]) -> None:
            await put_pending(self._ledger, admission, self._clock, keys)

        wanted = frozenset(task.key for task in parts.tasks)
        doubts = Doubts(self._ledger, self._binding.settings, wanted, follow, again, self.notice)

        async def on_look(look: LogLook, given_up: Sequence[Unowned]) -> None:
            await doubts.on_look(look, given_up)
            admission.look_again()

        await adopter.keep_looking(on_look)

    def _noted(self, event: LedgerEvent) -> None:
        self._everything.moved(event.from_state, event.to_state)
        if event.planned and (self.selected is None or event.key in self.selected):
            self._wanted.moved(event.from_state, event.to_state)
        self._results.outdated()
        self._job.display.event(event)

    def _beginning(self) -> str:
        todo = count(self._wanted.total() - self._wanted[TaskState.DONE], "task")
        told = f"{todo} to do, {self._binding.settings.concurrency} at once, gateway {self._job.gateway_name}"
        return f"{told}; Ctrl-C is safe, and the same command goes on"

    def notice(self, text: str) -> None:
        """Tell a person, now and in run.log."""
        self._log.notice(text)
        self._job.display.notice(redacted(text))

    async def _tick(self) -> None:
        """Let the display look at the clock, and note in run.log why nothing was submitted, and when."""
        waiting_for = ""
        while self.admission:
            await asyncio.sleep(TICK)
            self._job.display.tick()
            if self.admission.waiting_for != waiting_for:
                waiting_for = self.admission.waiting_for
                self._log.notice(waiting_for or "submitting again")
                await self._ledger.set_meta(WAITING_FOR, waiting_for)
