"""The queue of tasks to submit: decides which is next. Plain values; time is an argument.

Tasks that need what others make are not in it until that is done; then they go first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from batchrunner.core.kinds import Kind, kind_of
from batchrunner.core.model import TaskKey
from batchrunner.core.submission.chains import ChainGate


class Waiting(NamedTuple):
    """A pending task; sorts in plan order."""

    position: int
    key: TaskKey
    model: str
    prompt: int = 0
    """The hash of its prompt, as thousands of long texts would fill the memory; 0 if it has none."""
    shape: str = ""
    """Of its kind."""

    @property
    def kind(self) -> Kind:
        """Its kind."""
        return Kind(self.model, self.shape)

    @classmethod
    def of(cls, position: int | None, key: TaskKey, request: Mapping[str, object]) -> Waiting:
        """Create it from a task and its normalised request."""
        model, shape = kind_of(request)
        return cls(position or 0, key, model, hash(str(request.get("prompt", ""))), shape)


@dataclass(frozen=True, slots=True)
class Permit:
    """Permission for one POST, for this task; it holds a slot until the slot is freed."""

    task: Waiting
    probe: bool = False
    """Others wait for its outcome."""


_Ordered = tuple[bool, int, TaskKey, str, int, str]
"""Whether a task begins something new, and the fields of the task: sorts in the order of submission.

A tuple of plain values, as there may be a million: the garbage collector doesn't look at these again and
again, which would stop the event loop for as long as that takes.
"""


class Backlog:
    """Pending tasks in plan order, but begun chains first; those that must wait stand aside."""

    def __init__(self, chains: ChainGate | None = None) -> None:
        self._chains = chains or ChainGate()
        self._ready: dict[Kind, list[_Ordered]] = {}
        self._later: list[tuple[float, Waiting]] = []
        self._waiting: set[TaskKey] = set()

    def __len__(self) -> int:
        return len(self._later) + sum(len(heap) for heap in self._ready.values())

    def put(self, task: Waiting, not_before: float = 0.0) -> None:
        """Add a task to submit from `not_before` (nominal seconds of the run's clock), or at once if 0.

        A task already in the queue is ignored: a doubt given up while a run starts is added twice. One that
        needs what isn't done is left with the chains, which return it when its time has come.
        """
        if task.key in self._waiting or self._chains.hold(task, not_before):
            return
        self._waiting.add(task.key)
        if not_before:
            heapq.heappush(self._later, (not_before, task))
        else:
            self._make_ready(task)

    def has_ready(self, now: float, may_go: Callable[[Kind], bool]) -> bool:
        """Whether a task is due whose kind is allowed."""
        self._bring_back(now)
        return any(heap and may_go(kind) for kind, heap in self._ready.items())

    def take(self, now: float, may_go: Callable[[Kind], bool]) -> Waiting | None:
        """Remove and return the first task that is due and whose kind is allowed."""
        self._bring_back(now)
        heads = [heap[0] for kind, heap in self._ready.items() if heap and may_go(kind)]
        if not heads:
            return None
        first = _task(min(heads))
        heapq.heappop(self._ready[first.kind])
        self._waiting.discard(first.key)
        return first

    def take_elsewhere(
        self, now: float, may_go: Callable[[Kind], bool], prompts: Container[int]
    ) -> Waiting | None:
        """Remove and return the last allowed task in plan order, preferring a prompt not in `prompts`."""
        self._bring_back(now)
        ready = [ordered for kind, heap in self._ready.items() if may_go(kind) for ordered in heap]
        if not ready:
            return None
        chosen = max(ready, key=lambda one: (_task(one).prompt not in prompts, _task(one).position))
        found = _task(chosen)
        heap = self._ready[found.kind]
        heap.remove(chosen)
        heapq.heapify(heap)
        self._waiting.discard(found.key)
        return found

    def kinds(self) -> set[Kind]:
        """The kinds of all tasks in the queue."""
        later = {task.kind for _, task in self._later}
        return later | {kind for kind, heap in self._ready.items() if heap}

    def _bring_back(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            self._make_ready(heapq.heappop(self._later)[1])

    def _make_ready(self, task: Waiting) -> None:
        heap = self._ready.setdefault(task.kind, [])
        heapq.heappush(heap, (not self._chains.follows(task.key), *task))

    def next_due(self) -> float | None:
        """When the next waiting task is due; None if there is none."""
        return self._later[0][0] if self._later else None


def _task(ordered: _Ordered) -> Waiting:
    return Waiting(*ordered[1:])
