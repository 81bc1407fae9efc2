"""The parts of a run, made from its job and told of each other."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from batchrunner.clock import Clock
from batchrunner.core.comparison import differences
from batchrunner.core.estimate import video_bytes
from batchrunner.core.model import PlannedTask, TaskKey
from batchrunner.core.outcome import Preflight
from batchrunner.core.states import PAID_FOR, TaskState
from batchrunner.core.summary import Tally
from batchrunner.engine.admission import Admission, Disk
from batchrunner.engine.adopter import Adopter
from batchrunner.engine.collector import Collector
from batchrunner.engine.evidence import Evidence
from batchrunner.engine.job import Job
from batchrunner.engine.preparation import VIDEOS
from batchrunner.engine.recovery import Recovery
from batchrunner.engine.worker import Worker
from batchrunner.gateway import Gateway
from batchrunner.ledger import Binding, Ledger, TaskRecord
from batchrunner.media import VideoFacts

SPARE_BYTES = 64 << 20
"""What a file may have beyond four times the estimate."""


def room(directory: Path, reserve: int) -> int:
    """Free bytes where the videos of a run go, which may be another disk than the ledger's.

    The ledger needs little, but not less than the reserve: where its disk has less, that is what counts.
    """
    ledger = shutil.disk_usage(directory).free
    try:
        videos = shutil.disk_usage(directory / VIDEOS).free
    except FileNotFoundError:  # moved away just now: the download will say so
        return ledger
    return videos if ledger >= reserve else min(videos, ledger)


@dataclass(frozen=True, slots=True)
class Wiring:
    """What all parts of one run share."""

    job: Job
    binding: Binding
    """The settings, as the manifest has them, or as an earlier run left them."""
    ledger: Ledger
    clock: Clock
    gateway: Gateway
    tally: Tally
    """All tasks of the ledger."""
    selected: frozenset[TaskKey] | None
    """The tasks that may be submitted; None for all."""

    @property
    def tasks(self) -> tuple[PlannedTask, ...]:
        """The plan's tasks that may be submitted."""
        tasks = self.job.plan.tasks if self.job.plan and self.job.submits else ()
        return tasks if self.selected is None else tuple(one for one in tasks if one.key in self.selected)

    @property
    def models(self) -> frozenset[str]:
        """The models that they ask for."""
        return frozenset(str(task.request.get("model")) for task in self.tasks)

    def admission(self, adopter: Adopter) -> Admission:
        """Says when a submission may leave."""
        disk = Disk(
            free=lambda: room(self.job.directory, self.binding.settings.disk_reserve),
            reserve=self.binding.settings.disk_reserve,
            largest=max((video_bytes(task.request, self.job.limits) for task in self.tasks), default=0),
            coming=lambda: sum(self.tally[state] for state in PAID_FOR),
        )

        async def answers() -> bool:
            return (await self.gateway.preflight()).verdict is Preflight.READY

        return Admission(
            self.clock,
            self.binding.settings,
            disk,
            in_doubt=lambda: self.tally[TaskState.IN_DOUBT],
            gateway_answers=answers,
            more_may_come=lambda: adopter.awaited,
            key_origin=self.gateway.key_origin,
        )

    def collector(self, links_only: bool = False) -> Collector:
        """Brings finished videos in."""

        def differs(task: TaskRecord, facts: VideoFacts) -> tuple[str, ...]:
            return differences(
                task.metadata,
                duration=facts.duration,
                width=facts.width,
                height=facts.height,
                fps=facts.fps,
                limits=self.job.limits,
            )

        def largest(task: TaskRecord) -> int:
            return SPARE_BYTES + 4 * video_bytes(task.request, self.job.limits)

        return Collector(
            self.ledger,
            self.gateway,
            self.clock,
            self.job.directory,
            self.binding.settings.downloads,
            differs,
            largest,
            links_only,
            asks_dead_links=self.job.recollect_all,
        )

    def worker(
        self,
        admission: Admission,
        collect: Callable[[TaskKey], None],
        notice: Callable[[str], None],
        is_paid: Callable[[TaskKey], Awaitable[bool]],
    ) -> Worker:
        """Submits, and follows what was accepted."""
        return Worker(
            ledger=self.ledger,
            gateway=self.gateway,
            clock=self.clock,
            admission=admission,
            settings=self.binding.settings,
            pricing=self.binding.pricing,
            tasks={task.key: task for task in self.tasks},
            collect=collect,
            notice=notice,
            is_paid=is_paid,
        )

    def recovery(
        self,
        evidence: Evidence | None,
        admission: Admission,
        follow: Callable[[TaskRecord], None],
        notice: Callable[[str], None],
    ) -> Recovery:
        """Finds what is paid for and not in the ledger."""
        plan = self.job.plan
        simulate = " --simulate" if self.job.gateway_name == "simulator" else ""
        command = f"batchrunner recover {plan.manifest if plan else 'MANIFEST'}"
        return Recovery(
            self.ledger,
            self.gateway,
            self.clock,
            self.job.directory,
            evidence,
            follow,
            admission,
            notice,
            hint=f"`{command} -o {self.job.directory}{simulate}` looks for what is paid for, free of charge",
            everything=self.job.recovers,
        )
