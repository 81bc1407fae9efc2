"""The gateway's tasks in memory, made from the charge book: who is where, who waits, who has cost what."""

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from time import gmtime, strftime

from batchrunner.simulator.charge import Charge
from batchrunner.simulator.life import Ending, Life, Pace, Phase, visible_phases


class Task:
    """One charge with all that the gateway will ever show of it."""

    def __init__(self, charge: Charge, pace: Pace) -> None:
        self.charge = charge
        self.phases = visible_phases(charge.life, pace)
        self.link_expires_at = self.phases[-1].at + pace.link
        self.rendered: dict[int, bytes] = {}  # poll bodies by phase: polls are many, phases few
        self._starts = [phase.at for phase in self.phases]

    def index(self, now: float) -> int:
        """Which of `phases` the gateway shows at Unix time `now`."""
        return max(0, bisect_right(self._starts, now) - 1)

    def phase(self, now: float) -> Phase:
        """What the gateway shows at Unix time `now`."""
        return self.phases[self.index(now)]

    def started_at(self, index: int) -> float:
        """When the gateway first saw the task in progress, as known in phase `index`; 0 if it did not."""
        seen = (phase.at for phase in self.phases[: index + 1] if phase.status == "IN_PROGRESS")
        return next(seen, 0.0)

    def cost(self, now: float) -> int:
        """Quota units taken for it so far: the hold, then the settled price, or nothing if it failed."""
        phase = self.phase(now)
        if not phase.final:
            return self.charge.hold
        return self.charge.settled if phase.status == "SUCCESS" else 0


class Tasks:
    """All tasks of the gateway's user, in the order in which they were accepted."""

    def __init__(self, charges: Iterable[Charge], pace: Pace, capacity: int | None) -> None:
        self._pace = pace
        self._capacity = capacity
        self._by_id: dict[str, Task] = {}
        self._by_upstream_id: dict[str, Task] = {}
        self._free_at: list[float] = []  # heap: when each of the upstream's slots is free again
        self._unfinished: list[float] = []  # heap: when each unfinished task will be seen to have ended
        for charge in charges:
            self.add(charge)

    def add(self, charge: Charge) -> Task:
        """Take in the next charge of the book."""
        task = Task(charge, self._pace)
        self._by_id[charge.remote_id] = task
        self._by_upstream_id[upstream_id(charge)] = task
        if self._capacity is not None:
            occupy = heapq.heappush if len(self._free_at) < self._capacity else heapq.heapreplace
            occupy(self._free_at, charge.life.ended_at)
        heapq.heappush(self._unfinished, task.phases[-1].at)
        return task

    def plan(self, now: float, queued: float, generating: float, ending: Ending) -> Life:
        """The life of a task that comes `now`: its place in the line, and its wait for a slot.

        `queued` and `generating` are the least wait and the generation in real seconds.
        """
        while self._unfinished and self._unfinished[0] <= now:
            heapq.heappop(self._unfinished)
        running_at = now + queued
        if self._capacity is not None and len(self._free_at) >= self._capacity:
            running_at = max(running_at, self._free_at[0])
        ended_at = running_at + generating
        if ending is Ending.STUCK:
            ended_at = max(ended_at, now + self._pace.timeout)
        return Life(now, running_at, ended_at, ending, len(self._unfinished))

    def find(self, remote_id: str) -> Task | None:
        """The task with this remote id, if there is one."""
        return self._by_id.get(remote_id)

    def find_upstream(self, identity: str) -> Task | None:
        """The task with this id of the upstream's, if there is one."""
        return self._by_upstream_id.get(identity)

    def all(self) -> Sequence[Task]:
        """Every task, oldest first."""
        return list(self._by_id.values())

    def spent(self, now: float, key: str | None = None) -> int:
        """Quota units taken at Unix time `now`, by the key of that name or by all."""
        return sum(task.cost(now) for task in self._by_id.values() if key in (None, task.charge.key))


def upstream_id(charge: Charge) -> str:
    """The upstream's id of a task, stamped with the real time of its submission."""
    return f"cgt-{strftime('%Y%m%d%H%M%S', gmtime(charge.at))}-{charge.ordinal - 1:05d}"
