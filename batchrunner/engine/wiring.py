"""Creates the parts of a run from its job, and connects them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial

from batchrunner.clock import Clock
from batchrunner.core.budget import Budget, Per
from batchrunner.core.comparison import differences
from batchrunner.core.estimate import most_bytes, video_bytes
from batchrunner.core.kinds import kind_of
from batchrunner.core.model import Fit, PlannedTask, Request, TaskKey
from batchrunner.core.outcome import Preflight
from batchrunner.core.policy import GENERATION_FAILED
from batchrunner.core.settlement import Prices
from batchrunner.core.states import GENERATED, PAID_FOR, Event, TaskState
from batchrunner.core.submission.chains import ChainGate
from batchrunner.core.submission.failures import FailureGate
from batchrunner.core.submission.hours import Hours
from batchrunner.engine.account import Account
from batchrunner.engine.admission import Admission
from batchrunner.engine.adopter import Adopter
from batchrunner.engine.canaries import Canaries
from batchrunner.engine.chains import Chains
from batchrunner.engine.collector import Collector
from batchrunner.engine.disk_room import Disk, room
from batchrunner.engine.doubts import Doubts
from batchrunner.engine.evidence import Evidence
from batchrunner.engine.fetcher import Fetches
from batchrunner.engine.job import Job
from batchrunner.engine.live_limits import LiveLimits
from batchrunner.engine.on_cluster import fetching_on_cluster
from batchrunner.engine.queries import Queries
from batchrunner.engine.recovery import Recovery
from batchrunner.engine.reporter import Reporter
from batchrunner.engine.requests import Requests
from batchrunner.engine.shared_account import SharedAccount
from batchrunner.engine.shared_budget import RunBudget
from batchrunner.engine.stored_inputs import StoredInputs
from batchrunner.engine.task_group import RunTaskGroup
from batchrunner.engine.task_outputs import TaskOutputs
from batchrunner.engine.worker import Worker
from batchrunner.gateway import Gateway
from batchrunner.ledger import MANIFEST, Binding, Ledger, LedgerEvent, TaskRecord, recover_command
from batchrunner.media import VideoFacts
from batchrunner.storage.local_videos import LocalVideos
from batchrunner.storage.video_store import VideoStore


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a run."""

    gateway: Gateway
    models: frozenset[str]
    """The models that the tasks use."""
    adopter: Adopter
    admission: Admission
    canaries: Canaries
    group: RunTaskGroup
    collector: Collector
    collect: Callable[[TaskKey], None]
    """Starts collecting a video."""
    recovery: Recovery
    worker: Worker
    account: Account
    doubts: Doubts
    limits: LiveLimits
    chains: Chains
    budget: RunBudget

    def collect_by_link(self, key: TaskKey) -> None:
        """Start collecting a video from the model's own link, without the gateway."""
        self.group.collect(self.collector.collect, key, True)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the parts of one run are created from."""

    job: Job
    binding: Binding
    """The settings from the manifest, or as an earlier run left them."""
    evidence: Evidence | None
    """Evidence of earlier runs outside the ledger; None if the ledger is new."""
    ledger: Ledger
    clock: Clock
    reporter: Reporter
    selected: frozenset[TaskKey] | None
    """The tasks that may be submitted; None for all."""
    hours: Hours
    """When they may be submitted."""
    videos: VideoStore
    """Where finished videos go."""

    def cluster(self, gateway: Gateway) -> AbstractAsyncContextManager[Fetches | None]:
        """What downloads videos on a cluster, as long as the context; None for this machine alone."""
        notice = self.reporter.notice
        return fetching_on_cluster(self.job, gateway, self.videos, self.binding.videos, notice)

    def connect(
        self, gateway: Gateway, failed: Callable[[Exception], None], cluster: Fetches | None
    ) -> Parts:
        """Create and connect the parts. `failed` is called with each exception in one of them."""
        ledger, clock, settings, notice = self.ledger, self.clock, self.binding.settings, self.reporter.notice
        group = RunTaskGroup(failed)
        together = self.job.together
        most, pace = settings.concurrency or settings.max_concurrency, together.pace if together else None
        queries = Queries(gateway, clock, most, pace)
        plan_limits = self.job.plan.budget.limits if self.job.plan else ()
        budget = RunBudget(ledger, plan_limits, together.budget if together else None)
        if together:
            together.siblings.add(ledger)
        adopter = Adopter(ledger, gateway, clock, queries, together.siblings if together else None)
        ledger.observe(adopter.observe)
        requests = self._requests()
        gate = ChainGate(self.job.plan.tasks.needs() if self.job.plan and self.job.submits else {})
        admission = self._admission(gateway, adopter, requests, gate)
        chains = Chains(ledger, clock, admission, gate)
        ledger.observe(chains.observe)
        canaries = Canaries(ledger, admission.canaries, self.job.limits, admission.look_again)
        ledger.observe(canaries.observe)
        ledger.observe(partial(_count_failures, admission.failures))
        collector = self._collector(gateway, canaries, cluster)

        def collect(key: TaskKey) -> None:
            group.collect(collector.collect, key)

        def follow(record: TaskRecord) -> None:
            admission.occupy(record.key, kind_of(record.request))
            group.work(worker.resume, record, lambda: None)

        recovery = Recovery(
            ledger,
            gateway,
            clock,
            self.job.directory,
            self.evidence,
            follow,
            admission,
            notice,
            queries,
            hint=self._how_to_recover(),
            everything=self.job.recovers,
        )
        account = Account(gateway, Prices(self.binding.pricing, self.job.limits), notice)
        worker = Worker(
            ledger=ledger,
            gateway=gateway,
            clock=clock,
            admission=admission,
            settings=settings,
            prices=lambda: account.prices,
            requests=self._to_send(gateway, admission),
            collect=collect,
            notice=notice,
            is_paid=recovery.is_paid,
            budget=budget,
            queries=queries,
        )
        return Parts(
            gateway,
            models=frozenset(str(request.get("model")) for request in requests),
            adopter=adopter,
            admission=admission,
            canaries=canaries,
            group=group,
            collector=collector,
            collect=collect,
            recovery=recovery,
            worker=worker,
            account=account,
            doubts=Doubts(ledger, adopter, admission, settings, self._may_submit, follow, notice),
            limits=LiveLimits(self.job.directory, settings, admission, collector, notice),
            chains=chains,
            budget=budget,
        )

    def _find(self, key: TaskKey) -> PlannedTask | None:
        """A task of the plan, if it may be submitted."""
        is_left_out = self.selected is not None and key not in self.selected
        if is_left_out or not self.job.plan or not self.job.submits:
            return None
        return self.job.plan.tasks.find(key)

    def _may_submit(self, key: TaskKey) -> bool:
        return self._find(key) is not None

    def _requests(self) -> list[Request]:
        """The distinct requests, without prompts and seeds, of the tasks that may be submitted."""
        if not self.job.plan or not self.job.submits:
            return []
        if self.selected is None:
            return list(self.job.plan.tasks.requests())
        tasks = filter(None, map(self.job.plan.tasks.find, self.selected))
        forms = {id(task.content.form): task.content.form for task in tasks}
        return [form.request(None, None) for form in forms.values()]

    def _to_send(self, gateway: Gateway, admission: Admission) -> Requests:
        """The tasks that may be submitted, and what is sent for each."""
        plan, limits = self.job.plan, self.job.limits.inputs
        most = Fit(limits.sides[1], limits.most_bytes["image"])
        outputs = TaskOutputs(self.ledger, self.job.directory, self.videos, self.clock, gateway.origin, most)
        frames, stored = plan.tasks.frames_needed() if plan else frozenset(), StoredInputs(self.clock.sleep)
        return Requests(self._find, outputs, stored, frames, lambda: admission.closing)

    def _admission(
        self, gateway: Gateway, adopter: Adopter, requests: Sequence[Request], gate: ChainGate
    ) -> Admission:
        reserve, tally = self.binding.settings.disk_reserve, self.reporter.everything

        def coming() -> int:
            paid = sum(tally[state] for state in PAID_FOR)
            # What is stored elsewhere is on this disk only while it is downloaded.
            return paid if is_local else min(paid, self.binding.settings.downloads)

        is_local = isinstance(self.videos, LocalVideos)
        disk = Disk(
            free=lambda: room(self.job.directory, reserve),
            reserve=reserve,
            largest=max((video_bytes(request, self.job.limits) for request in requests), default=0),
            coming=coming,
            trouble=lambda: self.videos.trouble,
        )

        budget = self.job.plan.budget if self.job.plan else Budget()
        before = tally[TaskState.FAILED] if budget.per is Per.RUN else 0

        def ended() -> tuple[int, int]:
            return max(0, tally[TaskState.FAILED] - before), sum(tally[state] for state in GENERATED)

        def awaiting() -> str:
            if adopter.awaited:
                return "looking up tasks in doubt in the usage log first"
            return "collecting videos that other tasks need" if gate.is_awaited else ""

        async def answers() -> bool:
            return (await gateway.preflight()).verdict is Preflight.READY

        settings, together = self.binding.settings, self.job.together
        if together and not self.job.submits:
            settings = replace(settings, weight=0)
        account = together.account if together else SharedAccount()
        account.key_origin = gateway.key_origin
        return Admission(
            self.clock,
            settings,
            disk,
            in_doubt=lambda: tally[TaskState.IN_DOUBT],
            gateway_answers=answers,
            awaiting=awaiting,
            account=account,
            failures=budget.failures,
            ended=ended,
            hours=self.hours,
            chains=gate,
            notice=self.reporter.notice,
        )

    def _collector(self, gateway: Gateway, canaries: Canaries, cluster: Fetches | None) -> Collector:
        limits = self.job.limits

        def differs(task: TaskRecord, facts: VideoFacts) -> tuple[str, ...]:
            return differences(
                task.metadata,
                duration=facts.duration,
                width=facts.width,
                height=facts.height,
                fps=facts.fps,
                model=limits.of(task.request),
            )

        return Collector(
            self.ledger,
            gateway,
            self.clock,
            self.videos,
            self.binding.settings.downloads,
            differs,
            lambda task: most_bytes(task.request, limits),
            asks_dead_links=self.job.recollect_all,
            collected=canaries.collected,
            cluster=cluster,
        )

    def _how_to_recover(self) -> str:
        plan = self.job.plan
        manifest = shlex.quote(plan.manifest) if plan else MANIFEST
        return f"`{recover_command(self.job.directory, manifest)}` finds paid tasks, free of charge"


def _count_failures(gate: FailureGate, event: LedgerEvent) -> None:
    if event.event is Event.SUCCEEDED:
        gate.succeeded()
    elif event.event is Event.GENERATION_FAILED and event.code == GENERATION_FAILED:
        gate.unexplained(event.message)
