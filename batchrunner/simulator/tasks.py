"""The gateway's tasks in memory, rebuilt from the charge book: states, queue and costs."""

from collections.abc import Iterable, Sequence
from time import gmtime, strftime

from batchrunner.simulator.capacity import Slots
from batchrunner.simulator.charge import Charge
from batchrunner.simulator.life import Ending, ObservedLife, Timings
from batchrunner.simulator.loop import RefreshLoop


class Task(ObservedLife):
    """One charge, and what the gateway has seen of it."""

    def __init__(self, charge: Charge, pace: Timings) -> None:
        super().__init__(charge.life, pace)
        self.charge = charge
        self.rendered: dict[tuple[bool, int], bytes] = {}  # poll bodies: there are many polls and few phases
        self._link = pace.link

    @property
    def link_expires_at(self) -> float:
        """When the temporary link of a succeeded task expires."""
        return self.phase.at + self._link

    @property
    def cost(self) -> int:
        """Quota units taken for it so far: the hold, then the settled price, or nothing if it failed."""
        if not self.phase.final or self.life.ending is Ending.CHANNEL_LOST:
            return self.charge.hold
        return self.charge.settled if self.phase.status == "SUCCESS" else 0


class Tasks:
    """All tasks of the gateway's user, in the order in which they were accepted."""

    def __init__(self, charges: Iterable[Charge], started_at: float, pace: Timings, slots: Slots) -> None:
        self._pace = pace
        self._slots = slots
        self._loop = RefreshLoop(started_at, pace)
        self._by_id: dict[str, Task] = {}
        self._by_upstream_id: dict[str, Task] = {}
        for charge in charges:
            self.add(charge)

    def add(self, charge: Charge) -> None:
        """Add the next charge of the book."""
        task = Task(charge, self._pace)
        self._by_id[charge.remote_id] = task
        self._by_upstream_id[upstream_id(charge)] = task
        self._slots.take(charge.life.running_at, charge.life.ended_at)
        self._loop.add(task)

    def catch_up(self, now: float) -> None:
        """Let the refresh loop catch up to Unix time `now`."""
        self._loop.advance(now)

    def starts_at(self, now: float, queued: float) -> float:
        """When a task accepted `now` gets a slot upstream: after `queued` seconds at the earliest."""
        return self._slots.free_from(now + queued)

    def waiting(self, now: float) -> int:
        """How many tasks are queued upstream."""
        return self._slots.waiting(now)

    def find(self, remote_id: str) -> Task | None:
        """The task with this remote ID, if any."""
        return self._by_id.get(remote_id)

    def find_upstream(self, identity: str) -> Task | None:
        """The task with this upstream ID, if any."""
        return self._by_upstream_id.get(identity)

    def all(self) -> Sequence[Task]:
        """Every task, oldest first."""
        return list(self._by_id.values())

    def spent(self, key: str | None = None) -> int:
        """Quota units that the tasks have cost so far, of the key with this name or of all keys."""
        return sum(task.cost for task in self._by_id.values() if key in (None, task.charge.key))


def upstream_id(charge: Charge) -> str:
    """A task's upstream ID, which contains the real time of its submission."""
    return f"cgt-{strftime('%Y%m%d%H%M%S', gmtime(charge.asked_at))}-{charge.ordinal - 1:05d}"
