"""How many tasks the upstream generates at once, which may change over time. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from batchrunner.simulator import checks

Steps = tuple[tuple[float, int], ...]
"""From when on (nominal seconds since the first start) how many generate at once, ascending."""


class Slots:
    """The upstream's slots: first come, first served. All times are Unix seconds."""

    def __init__(self, capacity: int | Steps | None, started_at: float, time_scale: float) -> None:
        steps = ((0.0, capacity),) if isinstance(capacity, int) else capacity or ()
        self._changes = [started_at + at * time_scale for at, _ in steps]
        self._sizes = [size for _, size in steps]
        self._begins: list[float] = []  # sorted: when each task leaves the queue
        self._ends: list[float] = []  # sorted: when each task has ended

    def take(self, running_at: float, ended_at: float) -> None:
        """Add the next task: it holds a slot from `running_at` to `ended_at`."""
        _insert(self._begins, running_at)
        _insert(self._ends, ended_at)

    def free_from(self, earliest: float) -> float:
        """The first moment from `earliest` on at which the next task gets a slot.

        A capacity that shrinks ends no task: a slot is free when fewer run than it allows.
        """
        if not self._sizes:
            return earliest
        later = self._ends[bisect_right(self._ends, earliest) :]
        changes = [at for at in self._changes if at > earliest]
        moments = (earliest, *(sorted([*later, *changes]) if changes else later))
        return next(at for at in moments if self._running(at) < self._size(at))

    def waiting(self, now: float) -> int:
        """How many tasks are queued."""
        return len(self._begins) - bisect_right(self._begins, now)

    def _running(self, at: float) -> int:
        return bisect_right(self._begins, at) - bisect_right(self._ends, at)

    def _size(self, at: float) -> int:
        return self._sizes[max(0, bisect_right(self._changes, at) - 1)]


def _insert(ordered: list[float], at: float) -> None:
    ordered.insert(bisect_right(ordered, at), at)


def parse_capacity(value: object, where: str) -> int | Steps | None:
    """Read `capacity:`, a number or a list of [seconds, number]; raises Wrong that names the places."""
    if value is None:
        return None
    if not isinstance(value, list | tuple):
        return checks.whole(1)(value, where)
    steps = checks.each(value, _parse_step, where, "[seconds, number] pairs")
    if not steps:
        raise checks.Wrong((where, "must have at least one [seconds, number] pair"))
    if any(later[0] <= earlier[0] for earlier, later in pairwise(steps)):
        raise checks.Wrong((where, f"times must ascend, not {value!r}"))
    return steps


def _parse_step(value: object, where: str) -> tuple[float, int]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:
        raise checks.Wrong((where, f"must be [seconds, number], not {value!r}"))
    return checks.number(0)(value[0], where), checks.whole(1)(value[1], where)
