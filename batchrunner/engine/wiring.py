"""Creates the parts of a run from its job, and connects them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial

from batchrunner.clock import Clock
from batchrunner.core.budget import Budget, Per
from batchrunner.core.comparison import differences
from batchrunner.core.estimate import most_bytes, video_bytes
from batchrunner.core.model import Fit, PlannedTask, Request, RunSettings, TaskKey
from batchrunner.core.outcome import Preflight
from batchrunner.core.policy import GENERATION_FAILED
from batchrunner.core.settlement import Prices
from batchrunner.core.states import GENERATED, PAID_FOR, Event, TaskState
from batchrunner.core.submission.chains import ChainGate
from batchrunner.core.submission.failures import FailureGate
from batchrunner.core.submission.hours import Hours
from batchrunner.engine.account import Account
from batchrunner.engine.accounts import GivenAccount, UsageLogs
from batchrunner.engine.admission import Admission
from batchrunner.engine.adopter import Adopter
from batchrunner.engine.canaries import Canaries
from batchrunner.engine.chains import Chains
from batchrunner.engine.collector import Collector
from batchrunner.engine.disk_room import Disk, room
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.doubts import Doubts
from batchrunner.engine.evidence import Evidence
from batchrunner.engine.fetcher import Fetches
from batchrunner.engine.job import Job
from batchrunner.engine.live_limits import LiveLimits
from batchrunner.engine.on_cluster import fetching_on_cluster
from batchrunner.engine.parts import Lane, Lanes, Parts, follow
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

    def cluster(self, gateways: Mapping[str, Gateway]) -> AbstractAsyncContextManager[Fetches | None]:
        """What downloads videos on a cluster, as long as the context; None for this machine alone."""
        notice = self.reporter.notice
        return fetching_on_cluster(self.job, gateways, self.videos, self.binding.videos, notice)

    def connect(
        self,
        keys: Mapping[GivenAccount, Gateway],
        failed: Callable[[Exception], None],
        cluster: Fetches | None,
    ) -> Parts:
        """Create and connect the parts. `failed` is called with each exception in one of them."""
        ledger, notice, together = self.ledger, self.reporter.notice, self.job.together
        group, lanes = RunTaskGroup(failed), Lanes()
        queries = {given.name: self._queries(given, gateway) for given, gateway in keys.items()}
        gateways = {given.name: gateway for given, gateway in keys.items()}
        plan_limits = self.job.plan.budget.limits if self.job.plan else ()
        budget = RunBudget(ledger, plan_limits, together.budget if together else None)
        if together:
            together.siblings.add(ledger)
        requests = self._requests()
        gate = ChainGate(self.job.plan.tasks.needs() if self.job.plan and self.job.submits else {})
        dispatch = self._dispatch(lanes, gate)
        chains = Chains(ledger, self.clock, dispatch, gate)
        ledger.observe(chains.observe)
        canaries = Canaries(ledger, dispatch.gates.canaries, self.job.limits, dispatch.look_again)
        ledger.observe(canaries.observe)
        ledger.observe(partial(_count_failures, dispatch.gates.failures))
        collector = self._collector(gateways, canaries, cluster)
        recovery = Recovery(
            ledger,
            UsageLogs(gateways, queries),
            self.clock,
            self.job.directory,
            self.evidence,
            partial(follow, lanes, group),
            dispatch,
            notice,
            hint=self._how_to_recover(),
            everything=self.job.recovers,
        )
        limits = LiveLimits(self.job.directory, self.binding.settings, dispatch, collector, notice)
        models = frozenset(str(request.get("model")) for request in requests)
        parts = Parts(lanes, models, dispatch, canaries, group, collector, recovery, limits, chains, budget)
        disk, to_send = self._disk(requests), self._to_send(gateways, queries, dispatch)
        for given, gateway in keys.items():
            lanes.add(self._lane(given, gateway, queries[given.name], parts, disk, to_send))
        return parts

    def _queries(self, given: GivenAccount, gateway: Gateway) -> Queries:
        settings, together = self._settings(given), self.job.together
        pace = together.pace if together and not given.name else None
        return Queries(gateway, self.clock, settings.concurrency or settings.max_concurrency, pace)

    def _settings(self, given: GivenAccount) -> RunSettings:
        """The settings of the run, with what the account limits itself."""
        settings = self.binding.settings
        if self.job.together and not self.job.submits:
            settings = replace(settings, weight=0)
        return settings if given.concurrency is None else replace(settings, concurrency=given.concurrency)

    def _lane(
        self,
        given: GivenAccount,
        gateway: Gateway,
        queries: Queries,
        parts: Parts,
        disk: Disk,
        to_send: Requests,
    ) -> Lane:
        """The parts that use the key of one account."""
        ledger, clock, settings, notice = self.ledger, self.clock, self.binding.settings, self.reporter.notice
        together, doubts, name = self.job.together, self.reporter.doubts, given.name
        shared = together.accounts[name] if together else SharedAccount()
        shared.key_origin = gateway.key_origin

        async def answers() -> bool:
            return (await gateway.preflight()).verdict is Preflight.READY

        own = self._settings(given)
        admission = Admission(
            clock, own, disk, lambda: doubts[name], answers, shared, parts.dispatch, name, given.price
        )
        adopter = Adopter(ledger, gateway, clock, queries, together.siblings if together else None, name)
        ledger.observe(adopter.observe)
        pricing = replace(self.binding.pricing, factor=given.price)
        account = Account(gateway, Prices(pricing, self.job.limits))
        worker = Worker(
            ledger=ledger,
            gateway=gateway,
            clock=clock,
            admission=admission,
            settings=settings,
            prices=lambda: account.prices,
            requests=to_send,
            collect=parts.collect,
            notice=notice,
            is_paid=parts.recovery.is_paid,
            budget=parts.budget,
            queries=queries,
        )
        found = partial(follow, parts.lanes, parts.group)
        doubted = Doubts(ledger, adopter, parts.dispatch, settings, self._may_submit, found, notice)
        return Lane(name, gateway, admission, adopter, worker, account, doubted)

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

    def _to_send(
        self, gateways: Mapping[str, Gateway], queries: Mapping[str, Queries], dispatch: Dispatch
    ) -> Requests:
        """The tasks that may be submitted, and what is sent for each."""
        plan, limits = self.job.plan, self.job.limits.inputs
        most = Fit(limits.sides[1], limits.most_bytes["image"])
        origin = next(iter(gateways.values())).origin
        outputs = TaskOutputs(self.ledger, self.job.directory, self.videos, self.clock, origin, most, queries)
        frames = plan.tasks.frames_needed() if plan else frozenset()
        stored = StoredInputs(self.clock.sleep, self.binding.videos)
        return Requests(self._find, outputs, stored, frames, lambda: dispatch.closing)

    def _disk(self, requests: Sequence[Request]) -> Disk:
        reserve, tally = self.binding.settings.disk_reserve, self.reporter.everything

        def coming() -> int:
            paid = sum(tally[state] for state in PAID_FOR)
            # What is stored elsewhere is on this disk only while it is downloaded.
            return paid if is_local else min(paid, self.binding.settings.downloads)

        is_local = isinstance(self.videos, LocalVideos)
        return Disk(
            free=lambda: room(self.job.directory, reserve),
            reserve=reserve,
            largest=max((video_bytes(request, self.job.limits) for request in requests), default=0),
            coming=coming,
            trouble=lambda: self.videos.trouble,
        )

    def _dispatch(self, lanes: Lanes, gate: ChainGate) -> Dispatch:
        tally, budget = self.reporter.everything, self.job.plan.budget if self.job.plan else Budget()
        before = tally[TaskState.FAILED] if budget.per is Per.RUN else 0

        def ended() -> tuple[int, int]:
            return max(0, tally[TaskState.FAILED] - before), sum(tally[state] for state in GENERATED)

        def awaiting() -> str:
            if lanes.awaits_look:
                return "looking up tasks in doubt in the usage log first"
            return "collecting videos that other tasks need" if gate.is_awaited else ""

        return Dispatch(self.clock, awaiting, budget.failures, ended, self.hours, gate, self.reporter.notice)

    def _collector(
        self, gateways: Mapping[str, Gateway], canaries: Canaries, cluster: Fetches | None
    ) -> Collector:
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
            next(iter(gateways.values())),
            self.clock,
            self.videos,
            self.binding.settings.downloads,
            differs,
            lambda task: most_bytes(task.request, limits),
            asks_dead_links=self.job.recollect_all,
            collected=canaries.collected,
            cluster=cluster,
            gateways=gateways,
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
