"""The parts of a run, as `wiring` connects them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from batchrunner.core.kinds import kind_of
from batchrunner.core.model import TaskKey
from batchrunner.engine.account import Account
from batchrunner.engine.admission import Admission
from batchrunner.engine.adopter import Adopter
from batchrunner.engine.canaries import Canaries
from batchrunner.engine.chains import Chains
from batchrunner.engine.collector import Collector
from batchrunner.engine.dispatch import Dispatch
from batchrunner.engine.doubts import Doubts
from batchrunner.engine.live_limits import LiveLimits
from batchrunner.engine.recovery import Recovery
from batchrunner.engine.shared_budget import RunBudget
from batchrunner.engine.task_group import RunTaskGroup
from batchrunner.engine.worker import Worker
from batchrunner.gateway import Gateway
from batchrunner.ledger import TaskRecord


@dataclass(frozen=True, slots=True)
class Lane:
    """One account of the run, and the parts that use its key."""

    name: str
    """Of the account; empty if the command has only one."""
    gateway: Gateway
    admission: Admission
    adopter: Adopter
    worker: Worker
    account: Account
    doubts: Doubts


class Lanes:
    """The accounts of the run whose keys can be used. A task stays with the one it was submitted with."""

    def __init__(self) -> None:
        self._usable: dict[str, Lane] = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._usable.values()))

    def add(self, lane: Lane) -> None:
        """Use this account."""
        self._usable[lane.name] = lane

    def leave_out(self, lane: Lane) -> None:
        """This account can't be used in this run: its key was refused."""
        del self._usable[lane.name]

    def of(self, task: TaskRecord) -> Lane | None:
        """The account that a task was submitted with; None if it can't be used: no other key may be."""
        return self._usable.get(task.account or "")

    @property
    def awaits_look(self) -> bool:
        """Whether a look-up may yet find a submission in doubt."""
        return any(lane.adopter.awaited for lane in self)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a run."""

    lanes: Lanes
    models: frozenset[str]
    """The models that the tasks use."""
    dispatch: Dispatch
    canaries: Canaries
    group: RunTaskGroup
    collector: Collector
    recovery: Recovery
    limits: LiveLimits
    chains: Chains
    budget: RunBudget

    def collect(self, key: TaskKey) -> None:
        """Start collecting a video."""
        self.group.collect(self.collector.collect, key)

    def collect_by_link(self, key: TaskKey) -> None:
        """Start collecting a video from the model's own link, without the gateway."""
        self.group.collect(self.collector.collect, key, True)


def follow(
    lanes: Lanes, group: RunTaskGroup, task: TaskRecord, polled: Callable[[], None] = lambda: None
) -> None:
    """Poll a generation with the account that it was submitted with, if that can be used."""
    if lane := lanes.of(task):
        lane.admission.occupy(task.key, kind_of(task.request))
        group.work(lane.worker.resume, task, polled)
