"""The gateway's tasks in memory, rebuilt from the charge book: states, queue and costs."""

from collections.abc import Callable, Iterable, Sequence
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
    """All tasks of the gateway, in the order in which they were accepted."""

    def __init__(
        self,
        charges: Iterable[Charge],
        started_at: float,
        pace: Timings,
        slots: Callable[[str], Slots],
        user_of: Callable[[str], str],
    ) -> None:
        """`slots` makes those of a user, and `user_of` names the user of a key."""
        self._pace = pace
        self._make_slots, self._user_of = slots, user_of
        self._slots: dict[str, Slots] = {}
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
        self._slots_of(self._user_of(charge.key)).take(charge.life.running_at, charge.life.ended_at)
        self._loop.add(task)

    def catch_up(self, now: float) -> None:
        """Let the refresh loop catch up to Unix time `now`."""
        self._loop.advance(now)

    def starts_at(self, user: str, now: float, queued: float) -> float:
        """When a user's task accepted `now` gets a slot upstream: after `queued` seconds at the earliest."""
        return self._slots_of(user).free_from(now + queued)

    def waiting(self, user: str, now: float) -> int:
        """How many tasks of a user are queued upstream."""
        return self._slots_of(user).waiting(now)

    def find(self, remote_id: str, user: str) -> Task | None:
        """The user's task with this remote ID, if any: nobody sees those of others."""
        task = self._by_id.get(remote_id)
        return task if task and self._user_of(task.charge.key) == user else None

    def find_upstream(self, identity: str) -> Task | None:
        """The task with this upstream ID, if any."""
        return self._by_upstream_id.get(identity)

    def all(self) -> Sequence[Task]:
        """Every task, oldest first."""
        return list(self._by_id.values())

    def spent(self, key: str) -> int:
        """Quota units that the tasks of the key with this name have cost so far."""
        return sum(task.cost for task in self._by_id.values() if task.charge.key == key)

    def spent_by(self, user: str) -> int:
        """Quota units that a user's tasks have cost so far."""
        return sum(task.cost for task in self._by_id.values() if self._user_of(task.charge.key) == user)

    def _slots_of(self, user: str) -> Slots:
        if user not in self._slots:
            self._slots[user] = self._make_slots(user)
        return self._slots[user]


def upstream_id(charge: Charge) -> str:
    """A task's upstream ID, which contains the real time of its submission."""
    return f"cgt-{strftime('%Y%m%d%H%M%S', gmtime(charge.asked_at))}-{charge.ordinal - 1:05d}"
